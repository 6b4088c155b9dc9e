"""Checkpoints of tensors and plain values: written whole, read without running any code from them.

MMEngine 0.10 stores objects of its own classes, which torch >= 2.6 rightly refuses to load.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.engine.any_runner import bare_model, built_loops, has_hook
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import LAST_CHECKPOINT, check_fit, named_checkpoint, read_checkpoint
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.system import whole_file

SEEDED_SPLITS = "seeded_splits"  # the message hub's note that the run's seed was also its splits'
PLAIN = (str, bytes, bool, int, float, type(None), torch.Tensor)


def read_meta(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint says of its run (``seed``, ``epoch``, ...), without its weights.

    ``seeded_splits`` says whether the seed was the splits' too (``--seed``), ``freeze`` what was frozen.

    Raises:
        InputError: if ``read_checkpoint`` refuses the file.
    """
    checkpoint = read_checkpoint(path, map_location="meta")
    noted = checkpoint.get("message_hub", {}).get("runtime_info", {})
    noted = {SEEDED_SPLITS: noted.get(SEEDED_SPLITS, False), FREEZE: noted.get(FREEZE, [])}
    return {**checkpoint["meta"], **noted}


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the newest checkpoint of a work dir, also of one that was moved; None if there is none.

    Raises:
        InputError: if ``last_checkpoint`` names a file that is not there.
    """
    pointer = Path(work_dir) / LAST_CHECKPOINT
    return named_checkpoint(pointer) if pointer.is_file() else None


def describe_data(metainfo: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of a dataset's data and split, and the split's hash, as checkpoints keep them."""
    data = metainfo.get("data")
    if data is None:
        return {}
    return {"name": data.name, "split": data.split.name, "sha256": data.split.sha256}


def check_data(trained: Mapping[str, str], given: Mapping[str, str], path: str | Path) -> None:
    """Compare the data that weights were trained on with the data at hand; other data is fine.

    Raises:
        InputError: if it is the same data with another split, so that training pixels might be tested.
    """
    if trained.get("name") == given.get("name") and trained.get("sha256") != given.get("sha256"):
        raise InputError(
            f"{path}: trained on split '{trained.get('split')}' of {trained.get('name')} (sha256 "
            f"{trained.get('sha256', '')[:8]}), but the config has '{given.get('split')}' "
            f"({given.get('sha256', '')[:8]}): pixels that trained it would be tested"
        )


@contextmanager
def durable_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to, as ``whole_file`` does; the file is on the disk before it takes its name.

    Raises:
        InputError: if the file cannot be written; what lay under that name before is still there.
    """
    with whole_file(path) as aside:
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())


def check_weights(runner: Runner, checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Compare a checkpoint's weights with a Runner's model and data.

    Raises:
        InputError: if they do not fit exactly, or were trained on another split of the data.
    """
    check_fit(checkpoint["state_dict"], bare_model(runner).state_dict(), path)
    for loop in built_loops(runner).values():
        given = describe_data(getattr(loop.dataloader.dataset, "metainfo", None) or {})
        check_data(checkpoint["meta"].get("data", {}), given, path)


def load_into(runner: Runner, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load a checkpoint's weights into a Runner's model.

    Raises:
        InputError: if ``check_weights`` refuses them.
    """
    runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
    check_weights(runner, checkpoint, path)
    bare_model(runner).load_state_dict(checkpoint["state_dict"], strict=False)
    runner._has_loaded = True
    runner.logger.info(f"Load checkpoint from {path}")


def load_final_weights(runner: Runner) -> None:
    """Load the weights that a training chose from their file: the best if it kept them, else the last.

    The test so sees what the file holds: the averaged weights, where the run keeps an average.
    """
    barrier()  # the main process has written the file
    resumed, runner._resume = runner._resume, False  # EMAHook would else take the file's raw weights
    # MMEngine's CheckpointHook pickles its own objects: such a file is trusted if this very run wrote it
    plain = resumed or has_hook(runner, SafeCheckpointHook)
    named = (runner.message_hub.get_info(key) for key in ("best_ckpt", "last_ckpt"))
    for path in (Path(name) for name in named if name):
        # a run that was moved and resumed has its best checkpoint in the new work dir
        for file in (path, Path(runner.work_dir) / path.name) if plain else (path,):
            if file.is_file():
                read = read_checkpoint(file, "cpu") if plain else torch.load(file, "cpu", weights_only=False)
                load_into(runner, read, file)
                return


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, with local files of tensors and plain values only.

    Its arguments are those of MMEngine's, without ``backend_args`` and ``file_client_args``.

    - Older checkpoints are removed only once the new one is written.
    - The message hub's histories are stored as tensors; what is not plain in it is left out.
    - The dataset's meta information is left out: it holds the scenes themselves.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        elsewhere = [key for key in ("backend_args", "file_client_args") if kwargs.get(key)]
        for unknown in (*self.args, *elsewhere):  # MMEngine keeps arguments that it does not know
            raise InputError(f"default_hooks.checkpoint: SafeCheckpointHook has no '{unknown}'")

    def before_train(self, runner: Runner) -> None:
        """Prepare, and keep the scenes out of the message hub, which is copied at every save."""
        super().before_train(runner)
        runner.message_hub.pop_info("dataset_meta")
        self._forget_best_of_others()
        if is_main_process():
            for leftover in Path(self.out_dir).glob("*.pth.*.part"):  # of a run that was killed as it wrote
                leftover.unlink(missing_ok=True)

    def _forget_best_of_others(self) -> None:
        """Drop paths that a resumed checkpoint names in another work dir: those files are not this run's."""
        if not self._is_own(getattr(self, "best_ckpt_path", None)):
            self.best_ckpt_path = None
        best = getattr(self, "best_ckpt_path_dict", {})
        best.update((score, None) for score, path in best.items() if not self._is_own(path))

    def _is_own(self, path: str | None) -> bool:
        return path is not None and Path(path).parent.resolve() == Path(self.out_dir).resolve()

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
        checkpoint.get("meta", {}).pop("config", None)  # MMEngine's Runner would execute it as Python
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
        )
        if is_main_process():
            with durable_file(Path(runner.work_dir) / LAST_CHECKPOINT) as pointer:
                pointer.write_text(self.last_ckpt)
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
