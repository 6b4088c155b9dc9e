"""What a training has beyond MMEngine's: seeds, fits, finite losses, decay, freezing, precision, warm-up."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.amp import GradScaler

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import decays
from m3amba_zoo.models.posterior import Posterior
from m3amba_zoo.models.preprocessor import FAR, RasterPreprocessor, data_warning
from m3amba_zoo.models.pretreatment import constant_features
from m3amba_zoo.models.weights import matching_names
from m3amba_zoo.registry import HOOKS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds ``random``, NumPy and torch (CPU and CUDA) at each epoch: from the run's seed, epoch and rank.

    So a run that is resumed between epochs goes on as if uninterrupted, and a checkpoint needs no state of
    the generators.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed before the first batch is drawn."""
        sequence = np.random.SeedSequence((runner.seed, runner.epoch, runner.rank))
        python_seed, numpy_seed, torch_seed = (int(word) for word in sequence.generate_state(3))
        random.seed(python_seed)
        np.random.seed(numpy_seed)  # noqa: NPY002 - third-party code reads the global generator
        torch.manual_seed(torch_seed)


@HOOKS.register_module()
class FitPreprocessorHook(Hook):
    """Fits ``RasterPreprocessor`` and ``Posterior`` before the first step.

    Weights that are loaded or resumed bring their own fit. Every rank sees the same training pixels, so
    every rank computes the same fit.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        """Fit on the training dataset's pixels.

        Raises:
            InputError: if the model has a Posterior and no RasterPreprocessor, or if a fit fails.
        """
        model = bare_model(runner)
        preprocessor = getattr(model, "data_preprocessor", None)
        posterior = getattr(model, "posterior", None)
        if isinstance(posterior, Posterior) and not isinstance(preprocessor, RasterPreprocessor):
            raise InputError(
                "a Posterior is fitted along with the pretreatment: "
                "data_preprocessor=dict(type='RasterPreprocessor') is expected"
            )
        if isinstance(preprocessor, RasterPreprocessor) and not preprocessor.fitted:
            dataset = runner.train_dataloader.dataset
            data = dataset.metainfo["data"]
            pixels, labels = dataset.training_pixels()
            names = {modality: data.band_names(modality) for modality in pixels}
            features = getattr(data, "encoded", {})
            preprocessor.fit(pixels, labels, names, features)
            if isinstance(posterior, Posterior):
                frequencies = dataset.label_frequencies(getattr(model, "margin", 0))
                posterior.fit(pixels, labels, frequencies, names, features)
            runner.logger.info(f"pretreatment fitted on {len(labels)} training pixels")
            lacking = data_warning(pixels, labels, [entry.name for entry in data.classes], names)
            for warning in filter(None, (lacking, constant_features(pixels, features))):
                runner.logger.warning(warning)


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a run at the first loss that is NaN or infinite; no checkpoint is written after it."""

    priority = "HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Check the terms of the loss.

        Raises:
            InputError: if one is not finite.
        """
        # RuntimeInfoHook has fetched the values from the device already
        history = {name: runner.message_hub.get_scalar(f"train/{name}") for name in outputs or {}}
        terms = {name: float(values.current()) for name, values in history.items() if "loss" in name}
        if all(map(math.isfinite, terms.values())):
            return
        values = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        learning = runner.optim_wrapper.get_lr()  # several optimisers have "<name>.lr" each
        groups = [group for name, group in learning.items() if name.rpartition(".")[2] == "lr"]
        rates = ", ".join(f"{rate:g}" for group in groups for rate in group)
        advice = f"a smaller optim_wrapper.optimizer.lr (now {rates}) or clip_grad may help"
        raise InputError(
            f"the loss is not finite in epoch {runner.epoch + 1}, iteration {batch_idx + 1} ({values}): "
            f"training has stopped; {_far_inputs(runner, data_batch) or advice}"
        )


def _far_inputs(runner: Runner, batch: Any) -> str:
    """Name the values of a batch that lie far from all that the pretreatment was fitted on."""
    preprocessor = getattr(bare_model(runner), "data_preprocessor", None)
    if not isinstance(preprocessor, RasterPreprocessor):
        return ""
    found = []
    given = preprocessor(batch)
    for modality, treated in given["inputs"].items():
        farthest = treated.abs().amax(dim=1)
        if farthest.max() > FAR:
            window, row, column = np.unravel_index(int(farthest.argmax()), farthest.shape)
            pixel = given["bands"][modality][window, :, row, column].nan_to_num(nan=0.0)
            band = int(pixel.abs().argmax())
            found.append(f"{pixel[band]:g} in band {band} of '{modality}'")
    if not found:
        return ""
    return (
        f"its windows show values that lie far from those of all training pixels ({', '.join(found)}): if "
        "they mean missing, they are to be marked as nodata"
    )


def freeze(model: nn.Module, patterns: Sequence[str] | None) -> None:
    """Set ``requires_grad`` to False for the parameters that a pattern matches: the config's ``freeze``.

    Args:
        model: of the run.
        patterns: ``fnmatch`` patterns of the names in ``named_parameters()``, such as ``neck.*``; None or an
            empty list freezes nothing.

    Raises:
        InputError: if it is no list of patterns, a pattern matches nothing (close names are given), or
            nothing is left to train. Nothing is frozen then.
    """
    if not patterns:
        return
    parameters = dict(model.named_parameters())
    frozen = matching_names(patterns, parameters, FREEZE)
    if not any(value.requires_grad for name, value in parameters.items() if name not in frozen):
        raise InputError(f"freeze: {', '.join(patterns)} leaves no parameter to train")
    for name in frozen:
        parameters[name].requires_grad_(False)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MatrixDecayConstructor(DefaultOptimWrapperConstructor):
    """Builds the optimiser that the config asks for, with weight decay on matrices and kernels alone.

    Norms, biases and what a model marks (``models/axes.py``) get none, even if ``paramwise_cfg``
    names them. A config asks for it by ``optim_wrapper.constructor``.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Return the optimiser's wrapper; each group of parameters is divided into those with and without."""
        wrapper = super().__call__(model)
        groups = wrapper.optimizer.param_groups
        groups[:] = [part for group in groups for part in _by_decay(group)]
        return wrapper


def _by_decay(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of an optimiser's group that decay and that do not, without empty ones."""
    with_decay = [parameter for parameter in group["params"] if decays(parameter)]
    without = [parameter for parameter in group["params"] if not decays(parameter)]
    if with_decay:
        yield {**group, "params": with_decay}
    if without:
        yield {**group, "params": without, "weight_decay": 0.0}


def leave_out_frozen(optim_wrapper: Any) -> None:
    """Take the frozen parameters out of an optimiser, which would keep state and decay for them."""
    wrappers = optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]
    for wrapper in wrappers:
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group["params"] = [parameter for parameter in group["params"] if parameter.requires_grad]
        groups[:] = [group for group in groups if group["params"]]


class FreezeHook(Hook):
    """Keeps parts whose parameters are all frozen in evaluation mode: they are fixed functions.

    Their batch norm uses the statistics that came with the weights and does not update them; their dropout
    and stochastic depth are off. Parts with any trained parameter train as always.
    """

    def __init__(self) -> None:
        self.parts: list[nn.Module] = []

    def before_train(self, runner: Runner) -> None:
        """Find the parts, and keep the patterns in checkpoints for a run that resumes them."""
        runner.message_hub.update_info(FREEZE, list(runner.cfg[FREEZE]))
        self.parts = list(_frozen_parts(bare_model(runner)))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Set them to evaluation mode; loops set the whole model to training mode after each validation."""
        for part in self.parts:
            if part.training:
                part.eval()


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules that have parameters, all of them frozen."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        yield module
        return
    for child in module.children():
        yield from _frozen_parts(child)


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """Mixed precision on CUDA and on the CPU; MMEngine's wrapper of this name refuses CPUs.

    Args:
        dtype: ``float16`` (CUDA only, with a gradient scaler) or ``bfloat16`` (needs no scaler); None means
            float16 on CUDA and bfloat16 on a CPU.
        loss_scale: ``dynamic``, or arguments of ``torch.amp.GradScaler``.
        kwargs: of ``OptimWrapper``.

    Raises:
        InputError: if the dtype is another one, or float16 on a CPU.
    """

    def __init__(self, dtype: str | None = None, loss_scale: str | dict = "dynamic", **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)  # MMEngine's __init__ is what refuses CPUs
        self.device_type = torch.device(get_device()).type
        dtype = dtype or ("bfloat16" if self.device_type == "cpu" else "float16")
        if dtype not in DTYPES or (dtype == "float16" and self.device_type == "cpu"):
            expected = "bfloat16" if self.device_type == "cpu" else " or ".join(DTYPES)
            raise InputError(f"optim_wrapper.dtype is '{dtype}', expected {expected} on {self.device_type}")
        self.cast_dtype = DTYPES[dtype]
        scaling = {} if isinstance(loss_scale, str) else loss_scale
        self.loss_scaler = GradScaler(self.device_type, enabled=dtype == "float16", **scaling)
        self._scale_update_param = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in ``dtype``."""
        with OptimWrapper.optim_context(self, model), torch.autocast(self.device_type, self.cast_dtype):
            yield


def without_long_warm_up(schedule: Any, epochs: int) -> Any:
    """Return a schedule for a training of so many epochs.

    Where a warm-up would fill them all, what follows it would never begin, which MMEngine refuses, and the
    rate would be at its highest at the end. Such a training has no warm-up: the second part fills it.

    Args:
        schedule: of a config: a part, a list of parts, or these by optimiser.
        epochs: of the training.
    """
    if isinstance(schedule, Mapping) and "type" not in schedule:
        return {name: without_long_warm_up(parts, epochs) for name, parts in schedule.items()}
    if not (isinstance(schedule, Sequence) and len(schedule) == 2):
        return schedule
    first, second = schedule
    if not all(isinstance(part, Mapping) and part.get("by_epoch", True) for part in schedule):
        return schedule
    if min(first.get("end", math.inf), second.get("begin", 0)) < epochs:
        return schedule
    print_log(f"no warm-up: the training has {epochs} epoch{'s' * (epochs != 1)}", "current")
    return [{**second, "begin": 0}]
