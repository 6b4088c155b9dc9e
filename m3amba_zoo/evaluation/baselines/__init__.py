"""Classical pixel classifiers under the networks' protocol: what a network must be ahead of."""

from m3amba_zoo.evaluation.baselines.classifiers import BASELINES, PixelClassifier, build_baseline
from m3amba_zoo.evaluation.baselines.prediction import predict_scenes
from m3amba_zoo.evaluation.baselines.spectra import PixelSpectra

__all__ = ["BASELINES", "PixelClassifier", "PixelSpectra", "build_baseline", "predict_scenes"]
