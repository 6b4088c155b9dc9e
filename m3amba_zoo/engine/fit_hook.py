"""Fits the model's pretreatment, and what else reads training pixels, before the first step."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.posterior import Posterior
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.registry import HOOKS


@HOOKS.register_module()
class FitPreprocessorHook(Hook):
    """Fits ``RasterPreprocessor`` and ``Posterior`` once; weights loaded or resumed bring their own fit.

    Every rank sees the same training pixels, so every rank computes the same fit.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        """Fit on the training dataset's pixels unless the state came with a checkpoint.

        Raises:
            InputError: the model has a Posterior and no RasterPreprocessor, or as the fits do.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        preprocessor = getattr(model, "data_preprocessor", None)
        posterior = getattr(model, "posterior", None)
        if isinstance(posterior, Posterior) and not isinstance(preprocessor, RasterPreprocessor):
            raise InputError(
                "a Posterior is fitted along with the pretreatment: "
                "data_preprocessor=dict(type='RasterPreprocessor') is expected"
            )
        if isinstance(preprocessor, RasterPreprocessor) and not preprocessor.fitted:
            pixels, labels = runner.train_dataloader.dataset.training_pixels()
            preprocessor.fit(pixels, labels)
            if isinstance(posterior, Posterior):
                posterior.fit(pixels, labels)
            runner.logger.info(f"pretreatment fitted on {len(labels)} training pixels")
