"""Networks from windows of rasters to logits; importing this package registers its parts."""

from m3amba_zoo.models import baselines as baselines
from m3amba_zoo.models.adapters.adapter import Adapter, TokenAdapter
from m3amba_zoo.models.adapters.clip_adapter import ClipAdapter
from m3amba_zoo.models.adapters.conv_adapter import ConvAdapter
from m3amba_zoo.models.adapters.linear_adapter import LinearAdapter
from m3amba_zoo.models.backbones.clip_encoder import ClipImageEncoder
from m3amba_zoo.models.discriminant_expert import DiscriminantExpert
from m3amba_zoo.models.heads.stream_head import StreamHead
from m3amba_zoo.models.losses import StreamLoss
from m3amba_zoo.models.m3amba import M3amba, m3amba
from m3amba_zoo.models.necks.cross_mamba import CrossMamba
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.posterior import Posterior
from m3amba_zoo.models.window_classifier import WindowClassifier

__all__ = [
    "Adapter",
    "ClipAdapter",
    "ClipImageEncoder",
    "ConvAdapter",
    "CrossMamba",
    "DiscriminantExpert",
    "LinearAdapter",
    "M3amba",
    "PatchClassifier",
    "Posterior",
    "StreamHead",
    "StreamLoss",
    "TokenAdapter",
    "WindowClassifier",
    "m3amba",
]
