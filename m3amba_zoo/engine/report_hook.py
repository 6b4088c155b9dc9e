"""Writes a run's results: metrics.json, the maps as PNG, the maps as GeoTIFF, and report.html."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from m3amba_zoo.config.options import FREEZE, INIT_FROM
from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.engine.checkpoint import STEPS
from m3amba_zoo.engine.early_stop import last_rule
from m3amba_zoo.engine.resuming import EXTENDED
from m3amba_zoo.evaluation.record import (
    build_record,
    count_flops,
    mapped_pixels,
)
from m3amba_zoo.evaluation.scene_metric import SceneMetric
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.weights import ChosenWeights, tested_weights
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.reporting import is_wanted, write_results

TRAIN_SECONDS = "train_seconds"  # the message hub's, kept in checkpoints


@HOOKS.register_module()
class ReportHook(Hook):
    """After a test loop, writes the results to the work dir.

    They are ``metrics.json``, ``map.png``, ``maps/<scene>.tif`` and, unless the config says ``report=False``,
    ``report.html``.
    """

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self._timing: dict[str, float] = {}
        self._started = 0.0
        self._before_resuming = 0.0
        self._batch: Any = None
        self._work = 0
        self._epochs: float | None = None
        self._file: Path | None = None
        self._weights: ChosenWeights | None = None
        self._extended: list[dict[str, Any]] = []

    def before_run(self, runner: Runner) -> None:
        """Refuse a config whose ``report`` is neither True nor False."""
        is_wanted(runner.cfg)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note the file of the weights, and what it says of their training."""
        self._file = Path(runner._load_from) if runner._load_from else None
        self._epochs = _whole_epochs(checkpoint.get("meta", {}))
        noted = checkpoint.get("message_hub", {}).get("runtime_info", {})
        # the best weights may be older than a run's extension
        self._extended = runner.message_hub.get_info(EXTENDED) or noted.get(EXTENDED, [])

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
        """Stop the clock; the weights are those of this run now, whatever it started from."""
        at = {"iter": runner.iter, STEPS: len(runner.train_dataloader), "epoch": runner.epoch}
        self._file, self._epochs = None, _whole_epochs(at)
        self._extended = runner.message_hub.get_info(EXTENDED, [])
        self._timing["train"] = self._before_resuming + time.perf_counter() - self._started

    def before_test(self, runner: Runner) -> None:
        """Note which weights are tested, and start the clock."""
        self._weights = None if self._file is None else tested_weights(self._file, runner.work_dir)
        if (metric := _scene_metric(runner)) is not None:
            metric.keep_logits = is_wanted(runner.cfg) and is_main_process()
        self._started = time.perf_counter()

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keep the first batch, on which operations are counted, and add up what they grow with."""
        if batch_idx == 0:
            self._batch, self._work = data_batch, 0
        if _scene_metric(runner) is not None:
            self._work += _work(runner, data_batch)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Write the results of the ``SceneMetric``."""
        self._timing["test"] = time.perf_counter() - self._started
        metric = _scene_metric(runner)
        work = torch.tensor(self._work)
        all_reduce(work)
        if metric is None or metric.evaluation is None or not is_main_process():
            return
        info = runner.test_dataloader.dataset.metainfo
        data, weights = info["data"], self._weights
        record = build_record(
            metric.evaluation,
            data,
            runner.cfg,
            window=_training_window(runner, info),
            model={
                **_describe(runner, info, self._epochs),
                "flops_per_pixel": self._flops(runner, int(work)) / mapped_pixels(metric.evaluation),
            },
            selection=last_rule(runner) if weights is None else weights.rule,
            seed=runner.seed,
            timing=self._timing,
            weights=weights and {"file": weights.path.name, "sha256": weights.sha256, "epoch": self._epochs},
            extended=self._extended,
        )
        write_results(
            Path(runner.work_dir),
            record,
            data,
            metric.evaluation.class_maps,
            metric.logits,
            runner.logger.warning,
            with_report=is_wanted(runner.cfg),
        )
        metric.logits = None

    def _flops(self, runner: Runner, work: int) -> float:
        """Return the operations of the whole test, from those of the first batch and its part of the work."""
        counted = count_flops(lambda: runner.model.test_step(self._batch))
        return counted / _work(runner, self._batch) * work


def _work(runner: Runner, batch: Mapping[str, Any]) -> int:
    """Return what a batch's operations are in proportion to: its patches, or else its windows."""
    if isinstance(bare_model(runner), PatchClassifier) and "needed" in batch:
        return int(batch["needed"].sum())
    return len(batch["scene"])


def _scene_metric(runner: Runner) -> SceneMetric | None:
    return next((m for m in runner.test_evaluator.metrics if isinstance(m, SceneMetric)), None)


def _training_window(runner: Runner, info: dict[str, Any]) -> int:
    """Return the side in pixels of the training windows, which may show test pixels.

    A config without training has the model's patch, or else the side of the test windows.
    """
    dataset = (runner.cfg.get("train_dataloader") or {}).get("dataset") or {}
    return int(dataset.get("window", getattr(bare_model(runner), "patch", info["window"])))


def _whole_epochs(meta: Mapping[str, Any]) -> float | None:
    """Return how often a training has seen its windows, a whole number if each epoch was finished.

    MMEngine's count leaves the one out that is under way, and that of a loop by iterations is always 0.
    """
    if not meta.get(STEPS) or "iter" not in meta:  # an earlier version's
        return meta.get("epoch")
    epochs = meta["iter"] / meta[STEPS]
    return int(epochs) if epochs == int(epochs) else round(epochs, 2)


def _describe(runner: Runner, info: dict[str, Any], epochs: float | None) -> dict[str, Any]:
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
