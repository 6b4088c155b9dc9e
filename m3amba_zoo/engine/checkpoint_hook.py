"""Saves checkpoints that can be resumed without trusting them, and never loses the one before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from m3amba_zoo.engine.checkpoint import LAST_CHECKPOINT, AsideBackend, describe_data
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import HOOKS

PLAIN = (str, bytes, bool, int, float, type(None), torch.Tensor)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` (same arguments), with checkpoints of tensors and plain values only.

    - Files are written aside and renamed, and older ones removed only afterwards.
    - The message hub's histories are stored as tensors; what is not plain in it is left out.
    - The dataset's meta information is left out: it holds the scenes themselves.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"backend_args": {"backend": "aside"}, **kwargs})
        if self.args:  # MMEngine keeps arguments that it does not know
            raise InputError(f"default_hooks.checkpoint: SafeCheckpointHook has no '{next(iter(self.args))}'")

    def before_train(self, runner: Runner) -> None:
        """Prepare, and keep the scenes out of the message hub, which is copied at every save."""
        super().before_train(runner)
        runner.message_hub.pop_info("dataset_meta")
        if is_main_process():
            for leftover in Path(self.out_dir).glob("*.pth.*.part"):  # of a run that was killed as it wrote
                leftover.unlink(missing_ok=True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make the checkpoint plain."""
        checkpoint["meta"]["data"] = describe_data(checkpoint["meta"].pop("dataset_meta", None) or {})
        hub = checkpoint["message_hub"]
        hub["log_scalars"] = {name: _pack(history) for name, history in hub["log_scalars"].items()}
        hub["runtime_info"] = {
            name: _plain(value) for name, value in hub["runtime_info"].items() if _is_plain(value)
        }
        hub["resumed_keys"] = {
            name: kept
            for name, kept in hub["resumed_keys"].items()
            if name in hub["log_scalars"] or name in hub["runtime_info"]
        }
        for part in ("optimizer", "param_schedulers"):
            if part in checkpoint:
                checkpoint[part] = _plain(checkpoint[part])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Give the message hub back its histories."""
        if "message_hub" in checkpoint:
            scalars = checkpoint["message_hub"]["log_scalars"]
            checkpoint["message_hub"]["log_scalars"] = {
                name: _unpack(packed) for name, packed in scalars.items()
            }
        if runner._resume:  # MMEngine would miss it and warn of another dataset; see check_data
            checkpoint["meta"]["dataset_meta"] = getattr(runner.train_dataloader.dataset, "metainfo", None)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        # MMEngine's removes the old checkpoint before it writes the new one
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir) / name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        superseded = self._supersede(runner, step) if self.max_keep_ckpts > 0 else []
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
        )
        if is_main_process():
            AsideBackend().put(self.last_ckpt.encode(), Path(runner.work_dir) / LAST_CHECKPOINT)
            for old in superseded:
                (Path(self.out_dir) / self.filename_tmpl.format(old)).unlink(missing_ok=True)

    def _supersede(self, runner: Runner, step: int) -> list[int]:
        """Note a new checkpoint among those kept and return the steps of those that it pushes out."""
        kept = [other for other in self.keep_ckpt_ids if other != step] + [step]
        self.keep_ckpt_ids.extend(kept)  # a deque of at most max_keep_ckpts
        runner.message_hub.update_info("keep_ckpt_ids", kept[-self.max_keep_ckpts :])
        return kept[: -self.max_keep_ckpts]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # MMEngine's removes the old checkpoint before it writes the new one, unless it does not know it
        previous = getattr(self, "best_ckpt_path", None)
        self.best_ckpt_path = None
        super()._save_best_checkpoint(runner, metrics)
        if self.best_ckpt_path is None:
            self.best_ckpt_path = previous
        elif previous not in (None, self.best_ckpt_path) and is_main_process():
            Path(previous).unlink(missing_ok=True)


def _pack(history: HistoryBuffer) -> dict[str, torch.Tensor]:
    values, counts = history.data
    return {"values": torch.from_numpy(values.copy()), "counts": torch.from_numpy(counts.copy())}


def _unpack(packed: Any) -> Any:
    if isinstance(packed, Mapping) and packed.keys() == {"values", "counts"}:
        return HistoryBuffer(packed["values"].numpy(), packed["counts"].numpy())
    return packed


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (*PLAIN, np.generic))


def _plain(value: Any) -> Any:
    """Return builtin containers and numbers in place of config dicts and numpy scalars."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value
