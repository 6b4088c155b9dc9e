"""Checks, before the first step, that the data, its split and the model belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.splits import leaked_pixels


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Refuses runs that would break the protocol or fail late, and warns of test pixels in training windows.

    All datasets of a run must have one split; validation must not read test pixels; the model must have the
    data's modalities, bands and classes, and find the margin that it reads around the pixels it classifies.
    """

    priority = "HIGHEST"

    def before_train(self, runner: Runner) -> None:
        """Check all datasets of the run."""
        self._check(runner)
        info = runner.train_dataloader.dataset.metainfo
        data, window = info["data"], info["window"]
        leaked, tested = leaked_pixels(data.split, data.scenes, window), data.split.count("test")
        if leaked:
            runner.logger.warning(
                f"{leaked} of {tested} test pixels of split '{data.split.name}' lie inside training windows "
                f"of {window} x {window} pixels (their bands, not their labels, are seen in training)"
            )

    def before_test(self, runner: Runner) -> None:
        """Check the test data."""
        self._check(runner)

    def _check(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        split: tuple[str, str] | None = None
        for role, info in _datasets(runner):
            data = info["data"]
            if split is None:
                split = (role, data.split.sha256)
            if data.split.sha256 != split[1]:
                raise InputError(
                    f"the {role} data has another split (sha256 {data.split.sha256[:8]}) than the {split[0]} "
                    f"data ({split[1][:8]}): one split is expected for a run"
                )
            if role == "validation" and info.get("part") == "test":
                raise InputError(
                    "val_dataloader reads the test part: weights would be chosen on test pixels; part='val' "
                    "is expected, and val=dict(fraction=..., guard=...) in the split"
                )
            _check_model(model, role, info)
            _check_margin(model, role, info)


def _datasets(runner: Runner) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the role and the description of each dataset that is built."""
    loops = {
        "training": runner._train_loop,
        "validation": runner._val_loop,
        "test": runner._test_loop,
    }
    for role, loop in loops.items():
        if isinstance(loop, BaseLoop):
            info = getattr(loop.dataloader.dataset, "metainfo", {})
            if "data" in info:
                yield role, info


def _check_margin(model: Any, role: str, info: Mapping[str, Any]) -> None:
    """Raise InputError unless windows have what a patch-wise model reads around the pixels it classifies."""
    margin = getattr(model, "margin", 0)
    if role == "training":
        if info["window"] <= 2 * margin:
            raise InputError(
                f"the training windows have {info['window']} x {info['window']} pixels, but the model reads "
                f"patches of {model.patch} x {model.patch} (model.patch)"
            )
    elif info.get("margin", 0) != margin:
        raise InputError(
            f"the {role} windows have a margin of {info.get('margin', 0)} pixels (dataset.margin), but the "
            f"model reads {margin} around each pixel"
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
