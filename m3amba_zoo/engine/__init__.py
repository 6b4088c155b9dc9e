"""What MMEngine's Runner needs from us. Importing registers the parts."""

from m3amba_zoo.engine.amp_wrapper import AmpOptimWrapper
from m3amba_zoo.engine.checkpoint import AsideBackend, latest_checkpoint, load_from_local
from m3amba_zoo.engine.checkpoint_hook import SafeCheckpointHook
from m3amba_zoo.engine.data_check_hook import DataCheckHook
from m3amba_zoo.engine.epoch_seed_hook import EpochSeedHook
from m3amba_zoo.engine.finite_loss_hook import FiniteLossHook
from m3amba_zoo.engine.fit_hook import FitPreprocessorHook
from m3amba_zoo.engine.progress_hook import ProgressHook
from m3amba_zoo.engine.report_hook import ReportHook
from m3amba_zoo.engine.runner import ZooRunner

__all__ = [
    "AmpOptimWrapper",
    "AsideBackend",
    "DataCheckHook",
    "EpochSeedHook",
    "FiniteLossHook",
    "FitPreprocessorHook",
    "ProgressHook",
    "ReportHook",
    "SafeCheckpointHook",
    "ZooRunner",
    "latest_checkpoint",
    "load_from_local",
]
