"""Writes a run's results: metrics.json, the maps as PNG, the maps as GeoTIFF."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from m3amba_zoo.config.options import FREEZE, INIT_FROM
from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.evaluation.record import build_record, count_flops, mapped_pixels, write_json
from m3amba_zoo.evaluation.scene_metric import SceneMetric
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.visualization.maps import write_maps

TRAIN_SECONDS = "train_seconds"  # the message hub's, kept in checkpoints


@HOOKS.register_module()
class ReportHook(Hook):
    """After a test loop, writes ``metrics.json``, ``map.png`` and ``maps/<scene>.tif`` to the work dir."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._timing: dict[str, float] = {}
        self._started = 0.0
        self._before_resuming = 0.0
        self._batch: Any = None
        self._epochs: int | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note for how many epochs the weights were trained, where their file says so."""
        self._epochs = checkpoint.get("meta", {}).get("epoch")

    def before_train(self, runner: Runner) -> None:
        """Start the clock; a resumed run goes on from the time of the run before."""
        self._started = time.perf_counter()
        known = TRAIN_SECONDS in runner.message_hub.runtime_info
        self._before_resuming = runner.message_hub.get_info(TRAIN_SECONDS) if known else 0.0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note the time for the next checkpoint."""
        seconds = self._before_resuming + time.perf_counter() - self._started
        runner.message_hub.update_info(TRAIN_SECONDS, seconds)

    def after_train(self, runner: Runner) -> None:
        """Stop the clock."""
        self._timing["train"] = self._before_resuming + time.perf_counter() - self._started

    def before_test(self, runner: Runner) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep the first batch, on which operations are counted."""
        if batch_idx == 0:
            self._batch = data_batch

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the results of the ``SceneMetric``."""
        self._timing["test"] = time.perf_counter() - self._started
        metric = next((m for m in runner.test_evaluator.metrics if isinstance(m, SceneMetric)), None)
        if metric is None or metric.evaluation is None or not is_main_process():
            return
        info = runner.test_dataloader.dataset.metainfo
        work_dir = Path(runner.work_dir)
        record = build_record(
            metric.evaluation,
            info["data"],
            runner.cfg,
            window=_training_window(runner, info),
            model={
                **_describe(runner, info, self._epochs),
                "flops_per_pixel": self._flops(runner) / mapped_pixels(metric.evaluation),
            },
            selection=_selection(runner),
            seed=runner.seed,
            timing=self._timing,
        )
        write_maps(work_dir, info["data"].scenes, metric.evaluation.class_maps, info["data"].split)
        write_json(work_dir / "metrics.json", record)  # last: with it the results are complete

    def _flops(self, runner: Runner) -> float:
        """Return the operations of the whole test: those of one batch, scaled up to all windows."""
        counted = count_flops(lambda: runner.model.test_step(self._batch))
        return counted / len(self._batch["scene"]) * len(runner.test_dataloader.dataset)


def _selection(runner: Runner) -> str:
    """Say which rule chose the weights."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            return f"best {hook.save_best} on validation pixels"
    return "last epoch, number of epochs fixed beforehand"


def _training_window(runner: Runner, info: dict[str, Any]) -> int:
    """Return the side in pixels of the training windows, which may show test pixels.

    A config without training has the model's patch, or else the side of the test windows.
    """
    dataset = (runner.cfg.get("train_dataloader") or {}).get("dataset") or {}
    return int(dataset.get("window", getattr(bare_model(runner), "patch", info["window"])))


def _describe(runner: Runner, info: dict[str, Any], epochs: int | None) -> dict[str, Any]:
    """Return what ``metrics.json`` says of the model; ``epochs`` are those of its weights, where known."""
    model = bare_model(runner)
    encoder = getattr(model, "encoder", None)
    started = {
        INIT_FROM: runner.message_hub.get_info(INIT_FROM, runner.cfg.get(INIT_FROM)),
        FREEZE: runner.cfg.get(FREEZE),
    }
    return {
        "name": runner.experiment_name.rsplit("_", 2)[0],
        "type": type(model).__name__,
        "modalities": list(info["modalities"]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "clip": encoder.description if encoder else "none",
        "transductive": bool(getattr(model, "transductive", False)),
        "epochs": epochs,
        **{key: value for key, value in started.items() if value},
    }
