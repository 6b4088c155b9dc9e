"""Networks, classical classifiers and the pretreatment of bands; importing registers them."""

from m3amba_zoo.models import baselines as baselines
from m3amba_zoo.models.adapters import Adapter, ClipAdapter, FeaturePrior, LinearAdapter, TokenAdapter
from m3amba_zoo.models.axes import reads_bands, writes_bands, writes_classes
from m3amba_zoo.models.encoders import (
    ClipImageEncoder,
    Encoder,
    GalileoEncoder,
    ImageEncoder,
    MMPretrainEncoder,
    NeededBand,
    Needs,
    TimmEncoder,
    load_network,
    text_features,
    zero_shot,
)
from m3amba_zoo.models.losses import StreamLoss
from m3amba_zoo.models.m3amba import CrossMamba, M3amba, StreamHead, m3amba
from m3amba_zoo.models.patch_classifier import PairClassifier, PatchClassifier
from m3amba_zoo.models.posterior import DiscriminantExpert, Posterior
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.models.text_head import TextHead
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier

__all__ = [
    "FUSED",
    "Adapter",
    "ClipAdapter",
    "ClipImageEncoder",
    "CrossMamba",
    "DiscriminantExpert",
    "Encoder",
    "FeaturePrior",
    "GalileoEncoder",
    "ImageEncoder",
    "LinearAdapter",
    "M3amba",
    "MMPretrainEncoder",
    "NeededBand",
    "Needs",
    "PairClassifier",
    "PatchClassifier",
    "Posterior",
    "RasterPreprocessor",
    "StreamHead",
    "StreamLoss",
    "TextHead",
    "TimmEncoder",
    "TokenAdapter",
    "WindowClassifier",
    "load_network",
    "m3amba",
    "reads_bands",
    "text_features",
    "writes_bands",
    "writes_classes",
    "zero_shot",
]
