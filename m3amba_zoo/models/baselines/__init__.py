"""The networks that M3amba is compared with, written from their papers; importing registers them."""

from m3amba_zoo.models.baselines.endnet import EndNet
from m3amba_zoo.models.baselines.fusatnet import FusAtNet
from m3amba_zoo.models.baselines.s2enet import S2ENet
from m3amba_zoo.models.baselines.two_branch_cnn import TwoBranchCNN

__all__ = ["EndNet", "FusAtNet", "S2ENet", "TwoBranchCNN"]
