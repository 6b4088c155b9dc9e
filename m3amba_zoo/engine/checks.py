"""Checks before the first step: what the zoo's parts need of a run, and that data, split and model agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import DistSamplerSeedHook, Hook, RuntimeInfoHook
from mmengine.runner import BaseLoop, Runner

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.datasets.train_windows import DrawSampler, TrainWindows
from m3amba_zoo.engine.any_runner import bare_model, built_loops, has_hook, metainfo_of
from m3amba_zoo.engine.checkpoint import SafeCheckpointHook
from m3amba_zoo.engine.console import ProgressHook
from m3amba_zoo.engine.report_hook import ReportHook
from m3amba_zoo.engine.training import FiniteLossHook, FitPreprocessorHook, FreezeHook
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scene_metric import SceneMetric
from m3amba_zoo.models.posterior import Posterior
from m3amba_zoo.models.preprocessor import RasterPreprocessor
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.splits import leak_note

ROLES = {"train": "training", "val": "validation", "test": "test"}


def check_parts(runner: Runner) -> None:
    """Check all that the zoo's parts in a run assume of its Runner, samplers and datasets.

    Only the loops that are built are looked at.

    Raises:
        InputError: if something is missing; the message says what, and what is expected.
    """
    kind = type(runner).__name__
    if runner.cfg.get(FREEZE) and not has_hook(runner, FreezeHook):
        raise InputError(f"'{FREEZE}' is given, but the Runner is a {kind}: expected runner_type='ZooRunner'")
    if runner._resume and not has_hook(runner, SafeCheckpointHook):
        raise InputError(
            f"a {kind} is to resume {runner._load_from or 'a checkpoint'} without the hook that unpacks it: "
            "expected default_hooks.checkpoint.type='SafeCheckpointHook'"
        )
    for hook in (FiniteLossHook, ProgressHook):
        if has_hook(runner, hook) and not has_hook(runner, RuntimeInfoHook):
            raise InputError(f"default_hooks.runtime_info is None, but {hook.__name__} reads what it notes")
    for name, loop in built_loops(runner).items():
        dataset = loop.dataloader.dataset
        info = metainfo_of(loop)
        where = f"{name}_dataloader.dataset is a {type(dataset).__name__}"
        if missing := [key for key in _needed_info(runner, name, loop) if key not in info]:
            raise InputError(f"{where}, whose metainfo has no '{missing[0]}': the zoo's hooks read it")
        if name == "train":
            _check_draws(runner, loop, where)


def _needed_info(runner: Runner, name: str, loop: BaseLoop) -> list[str]:
    """Return the entries of a dataset's ``metainfo`` that hooks and metrics read."""
    needed = []
    if name == "train" and _fits(runner):
        needed += ["data"]
    if has_hook(runner, DataCheckHook) and name == "train":
        needed += ["data", "window"]
    metrics = getattr(getattr(loop, "evaluator", None), "metrics", ())
    if any(isinstance(metric, SceneMetric) for metric in metrics):
        needed += ["data", "part"]
        if name == "test" and has_hook(runner, ReportHook):
            needed += ["modalities", "window"]
    zoos = needed or "data" in metainfo_of(loop)
    if zoos and has_hook(runner, DataCheckHook) and hasattr(bare_model(runner), "in_channels"):
        needed += ["modalities"]
    return needed


def _check_draws(runner: Runner, loop: BaseLoop, where: str) -> None:
    """Raise InputError unless training windows can be drawn, and what is fitted be fitted on the data."""
    loader = loop.dataloader
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    if isinstance(loader.dataset, TrainWindows):
        if not isinstance(sampler, DrawSampler):
            raise InputError(
                f"{where}, but its sampler is a {type(sampler).__name__}: expected type='DrawSampler'"
            )
        if not has_hook(runner, DistSamplerSeedHook):
            raise InputError(
                f"{where}, but default_hooks.sampler_seed is None: each epoch would draw the same windows"
            )
    for method, use in _fits(runner).items():
        if not hasattr(loader.dataset, method):
            raise InputError(f"{where} without {method}(), {use}")


def _fits(runner: Runner) -> dict[str, str]:
    """Return the methods of the training dataset that ``FitPreprocessorHook`` calls, and what for."""
    model = bare_model(runner)
    methods: dict[str, str] = {}
    if not has_hook(runner, FitPreprocessorHook):
        return methods
    if isinstance(getattr(model, "data_preprocessor", None), RasterPreprocessor):
        methods["training_pixels"] = "on which the model's pretreatment is fitted"
        if isinstance(getattr(model, "posterior", None), Posterior):
            methods["label_frequencies"] = "by which the model's Posterior divides"
    return methods


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Refuses runs that would break the protocol or fail late, and warns of test pixels in training windows.

    All datasets of a run must have one split; validation must not read test pixels; the model must have the
    data's modalities, bands and classes, and find the margin that it reads around the pixels it classifies.
    """

    priority = "HIGHEST"

    def before_train(self, runner: Runner) -> None:
        """Check all datasets of the run."""
        _check_run(runner)
        info = runner.train_dataloader.dataset.metainfo
        data = info["data"]
        if note := leak_note(data, info["window"], info.get("modalities", ())):
            runner.logger.warning(note)

    def before_test(self, runner: Runner) -> None:
        """Check the test data."""
        _check_run(runner)


def _check_run(runner: Runner) -> None:
    check_parts(runner)
    first: tuple[str, str] | None = None
    for name, loop in built_loops(runner).items():
        role, info = ROLES[name], metainfo_of(loop)
        if "data" not in info:
            continue
        sha256 = info["data"].split.sha256
        first = first or (role, sha256)
        if sha256 != first[1]:
            raise InputError(
                f"the {role} data has another split (sha256 {sha256[:8]}) than the {first[0]} data "
                f"({first[1][:8]}): expected one split for the whole run"
            )
        if name == "val" and info.get("part") == "test":
            raise InputError(
                "val_dataloader reads the test part: weights would be chosen on test pixels; expected "
                "part='val', and val=dict(fraction=..., guard=...) in the split"
            )
        _check_model(bare_model(runner), role, info)
        _check_margin(bare_model(runner), role, info)


def _check_margin(model: Any, role: str, info: Mapping[str, Any]) -> None:
    """Raise InputError unless windows have what a patch-wise model reads around the pixels it classifies."""
    margin, given = getattr(model, "margin", 0), info.get("margin", 0)
    if role == "training" and info["window"] <= 2 * margin:
        raise InputError(
            f"the training windows have {info['window']} x {info['window']} pixels, but the model reads "
            f"patches of {model.patch} x {model.patch} (model.patch)"
        )
    if role != "training" and given != margin:
        raise InputError(
            f"the {role} windows have a margin of {given} pixels (dataset.margin), but the model reads "
            f"{margin} around each pixel"
        )


def _check_model(model: Any, role: str, info: Mapping[str, Any]) -> None:
    """Raise InputError unless a model reads these modalities, bands and classes."""
    expected, data = getattr(model, "in_channels", None), info["data"]
    if expected is None:
        return
    if set(expected) != set(info["modalities"]):
        raise InputError(
            f"the model is built for the modalities {', '.join(expected)} (model.in_channels), but the "
            f"{role} data gives {', '.join(info['modalities'])}"
        )
    if model.num_classes != len(data.classes):
        raise InputError(
            f"the model has {model.num_classes} classes (model.num_classes), but {data.name} has "
            f"{len(data.classes)}: {', '.join(entry.name for entry in data.classes)}"
        )
    for scene in data.scenes:
        for modality, bands in expected.items():
            found = len(scene.rasters[modality].data)
            if found != bands:
                raise InputError(
                    f"modality '{modality}' of scene '{scene.name}' has {found} bands, but the model is "
                    f"built for {bands} (model.in_channels)"
                )
