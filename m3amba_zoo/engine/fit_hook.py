"""Fits the model's pretreatment on the training pixels before the first step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from m3amba_zoo.datasets.preprocessor import RasterPreprocessor
from m3amba_zoo.registry import HOOKS


@HOOKS.register_module()
class FitPreprocessorHook(Hook):
    """Fits ``RasterPreprocessor`` once; weights that were loaded or resumed bring their own fit.

    Every rank sees the same training pixels, so every rank computes the same fit.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        """Fit on the training dataset's pixels unless the state came with a checkpoint."""
        preprocessor = _preprocessor(runner)
        if preprocessor is None:
            return
        dataset = runner.train_dataloader.dataset
        _check_bands(preprocessor, dataset)
        if not preprocessor.fitted:
            pixels, labels = dataset.training_pixels()
            preprocessor.fit(pixels, labels)
            runner.logger.info(f"pretreatment fitted on {len(labels)} training pixels")

    def before_test(self, runner: Runner) -> None:
        """Check that the data has the bands that the weights were trained on."""
        preprocessor = _preprocessor(runner)
        if preprocessor is not None:
            _check_bands(preprocessor, runner.test_dataloader.dataset)


def _preprocessor(runner: Runner) -> RasterPreprocessor | None:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    found = getattr(model, "data_preprocessor", None)
    return found if isinstance(found, RasterPreprocessor) else None


def _check_bands(preprocessor: RasterPreprocessor, dataset: object) -> None:
    info = dataset.metainfo  # type: ignore[attr-defined]
    for scene in info["data"].scenes:
        for modality in info["modalities"]:
            preprocessor.check_channels(modality, len(scene.rasters[modality].data))
