"""Checkpoints of tensors and plain values: written whole, read without running any code from them.

MMEngine 0.10 stores objects of its own classes, which torch >= 2.6 rightly refuses to load.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.engine.any_runner import bare_model, built_loops, has_hook, metainfo_of
from m3amba_zoo.engine.early_stop import best_rule, last_rule
from m3amba_zoo.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from m3amba_zoo.engine.resuming import CLASSES, DECIDED_BY, decided_by, go_on, resumed_file
from m3amba_zoo.engine.saved_state import POSITION, is_plain, made_plain, pack, position, unpack
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE
from m3amba_zoo.models.weights import (
    LAST_CHECKPOINT,
    check_fit,
    forget_choice,
    named_checkpoint,
    read_checkpoint,
    read_choice,
    write_choice,
)
from m3amba_zoo.registry import HOOKS
from m3amba_zoo.system import whole_file

SEEDED_SPLITS = "seeded_splits"  # the message hub's note that the run's seed was also its splits'
RUN = "run"  # the message hub's and the meta's: a name that no other training has
STEPS = "steps_per_epoch"  # the meta's
INSIDE = "interrupted.pth"  # a checkpoint that a signal had written inside of an epoch


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


def describe_data(metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """Return what checkpoints keep of a dataset: names of data, split and classes, the hash of the split."""
    data = metainfo.get("data")
    if data is None:
        return {}
    names = [entry.name for entry in getattr(data, "classes", ())]
    described = {"name": data.name, "split": data.split.name, "sha256": data.split.sha256}
    return described | ({CLASSES: names} if names else {})


def check_data(trained: Mapping[str, Any], given: Mapping[str, Any], path: str | Path) -> None:
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
        given = describe_data(metainfo_of(loop))
        check_data(checkpoint["meta"].get("data", {}), given, path)


def load_into(runner: Runner, checkpoint: dict[str, Any], path: str | Path) -> None:
    """Load a checkpoint's weights into a Runner's model.

    Raises:
        InputError: if ``check_weights`` refuses them, or they are not finite.
    """
    runner.call_hook("after_load_checkpoint", checkpoint=checkpoint)
    check_weights(runner, checkpoint, path)
    for name, _ in bare_model(runner).named_parameters():
        if not torch.isfinite(checkpoint["state_dict"][name]).all():
            raise InputError(
                f"{path}: '{name}' has values that are NaN or infinite, expected trained weights"
            )
    bare_model(runner).load_state_dict(checkpoint["state_dict"], strict=False)
    runner._has_loaded = True
    runner.logger.info(f"Load checkpoint from {path}")


def note_choice(runner: Runner, written: Path | None = None) -> None:
    """Write which weights a run stands for so far: the best by the first score of ``save_best``, or the last.

    Args:
        runner: trains; nothing is written where it has no checkpoint yet.
        written: the file that has changed; None means that any may have.

    Raises:
        InputError: if the answer cannot be written.
    """
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    if hook is None or not is_main_process():
        return
    rules = {"last_ckpt": last_rule(runner)}
    if hook.save_best:
        first, *others = hook.key_indicators
        rules = {f"best_ckpt_{first}" if others else "best_ckpt": best_rule(runner, first), **rules}
    known = {key: runner.message_hub.get_info(key) for key in rules}
    for key, path in known.items():
        if path and Path(path).is_file():
            if written is None or written == Path(path):
                write_choice(runner.work_dir, Path(path), rules[key])
            return


def load_final_weights(runner: Runner) -> None:
    """Load the weights that a training chose from their file, as ``weights.json`` in the work dir names it.

    The test so sees what the file holds: the averaged weights, where the run keeps an average.
    """
    # MMEngine's CheckpointHook pickles its own objects: such a file is trusted if this very run wrote it
    plain = runner._resume or has_hook(runner, SafeCheckpointHook)
    if not has_hook(runner, SafeCheckpointHook) and is_main_process():
        forget_choice(runner.work_dir)
        note_choice(runner)
    barrier()  # the main process has written the files
    chosen = read_choice(runner.work_dir)
    if chosen is not None:
        runner._resume = False  # EMAHook would else take the file's raw weights
        runner._load_from = str(chosen.path)
        read = read_checkpoint if plain else partial(torch.load, weights_only=False)
        load_into(runner, read(chosen.path, map_location="cpu"), chosen.path)


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, with local files of tensors and plain values only.

    Its arguments are those of MMEngine's, without ``backend_args`` and ``file_client_args``.

    - Older checkpoints are removed only once the new one is written.
    - The message hub's histories are stored as tensors; what is not plain in it is left out.
    - The dataset's meta information is left out: it holds the scenes themselves.
    - Each checkpoint says what decided it, and a run that is to resume it with something else is refused.
    - Each checkpoint says which training it belongs to. Older ones of the same, which it left as it was
      killed, are removed when it goes on.
    - One that is written inside of an epoch has what the zoo's loops need to go on exactly.
    - ``weights.json`` in the work dir names the weights that the run stands for so far.
    """

    extend = False  # whether a changed config is meant where the Runner resumes (`--resume --extend`)
    overwrite = (
        False  # whether the checkpoints of an earlier training go when a new one starts (`--overwrite`)
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._position: dict[str, Any] = {}
        elsewhere = [key for key in ("backend_args", "file_client_args") if kwargs.get(key)]
        for unknown in (*self.args, *elsewhere):  # MMEngine keeps arguments that it does not know
            raise InputError(f"default_hooks.checkpoint: SafeCheckpointHook has no '{unknown}'")

    def before_train(self, runner: Runner) -> None:
        """Prepare, and keep the scenes out of the message hub, which is copied at every save.

        What the work dir says of an earlier training's weights and scores goes.
        """
        if runner._resume:
            _find_moved(runner)
        super().before_train(runner)
        runner.message_hub.pop_info("dataset_meta")
        if not (runner._resume and runner.message_hub.get_info(RUN)):
            runner.message_hub.update_info(RUN, uuid.uuid4().hex)
        if not is_main_process():
            return
        if runner._resume:
            forget_choice(runner.work_dir)
            note_choice(runner)
            self._remove_superseded(runner)
            return
        # the pointer first: a run that is killed here is not taken for the earlier one
        for earlier in (LAST_CHECKPOINT, METRICS_FILE):
            (Path(runner.work_dir) / earlier).unlink(missing_ok=True)
        forget_choice(runner.work_dir)
        if self.overwrite:
            for checkpoint in self._own_checkpoints():
                checkpoint.unlink(missing_ok=True)

    def _own_checkpoints(self) -> list[Path]:
        """Return the files in the folder whose names are those of checkpoints that this hook writes."""
        name = re.sub(r"\{[^{}]*\}", "*", self.filename_tmpl)
        folder = Path(self.out_dir)
        return sorted({*folder.glob(name), *folder.glob(f"best_*{name}"), *folder.glob(INSIDE)})

    def _remove_superseded(self, runner: Runner) -> None:
        """Remove older checkpoints of the training that goes on; it was killed before it could."""
        if self.max_keep_ckpts <= 0:
            return
        kept = {self.filename_tmpl.format(step) for step in self.keep_ckpt_ids} | {resumed_file(runner).name}
        if self.save_best:
            kept |= {Path(str(path)).name for path in self._best.values()}
        for path in self._own_checkpoints():
            if path.name in kept:
                continue
            try:
                meta = read_meta(path)
            except InputError:  # damaged: not for us to throw away
                continue
            if (
                meta.get(RUN) == runner.message_hub.get_info(RUN)
                and meta.get("iter", runner.iter) < runner.iter
            ):
                path.unlink(missing_ok=True)
                runner.logger.info(f"{path} is superseded and was removed")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make the checkpoint plain."""
        checkpoint["meta"][DECIDED_BY] = decided_by(runner)
        checkpoint["meta"][RUN] = runner.message_hub.get_info(RUN)
        checkpoint["meta"][STEPS] = len(runner.train_dataloader)
        if self._position:
            checkpoint[POSITION] = self._position
        checkpoint["meta"]["data"] = describe_data(checkpoint["meta"].pop("dataset_meta", None) or {})
        hub = checkpoint["message_hub"]
        hub["log_scalars"] = {name: pack(history) for name, history in hub["log_scalars"].items()}
        hub["runtime_info"] = {
            name: made_plain(value) for name, value in hub["runtime_info"].items() if is_plain(value)
        }
        hub["resumed_keys"] = {
            name: kept
            for name, kept in hub["resumed_keys"].items()
            if name in hub["log_scalars"] or name in hub["runtime_info"]
        }
        for part in ("optimizer", "param_schedulers"):
            if part in checkpoint:
                checkpoint[part] = made_plain(checkpoint[part])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Give the message hub back its histories."""
        checkpoint.get("meta", {}).pop("config", None)  # MMEngine's Runner would execute it as Python
        if "message_hub" in checkpoint:
            scalars = checkpoint["message_hub"]["log_scalars"]
            checkpoint["message_hub"]["log_scalars"] = {
                name: unpack(packed) for name, packed in scalars.items()
            }
        if runner._resume and "message_hub" in checkpoint:
            go_on(runner, checkpoint, self.extend)
            runner.train_loop.position = checkpoint.get(POSITION, {})
        if runner._resume:  # MMEngine would miss it and warn of another dataset; see check_data
            checkpoint["meta"]["dataset_meta"] = getattr(runner.train_dataloader.dataset, "metainfo", None)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        # MMEngine's removes the old checkpoint before it writes the new one
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir) / name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        superseded = self._supersede(runner, step) if self.max_keep_ckpts > 0 else []
        self._write(runner, name, meta, self.by_epoch)
        if is_main_process():
            note_choice(runner, Path(self.last_ckpt))
            for old in (*map(self.filename_tmpl.format, superseded), INSIDE):
                (Path(self.out_dir) / old).unlink(missing_ok=True)

    def save_inside(self, runner: Runner) -> bool:
        """Write a checkpoint after a step; return False if the training's loop could not go on from it.

        It is the one to resume until the next is written; what the run stands for does not change.
        """
        if not isinstance(runner.train_loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
            return False
        self._write(runner, INSIDE, {}, by_epoch=False)
        return True

    def _write(self, runner: Runner, name: str, meta: dict, by_epoch: bool) -> None:
        """Write a checkpoint, then that it is the newest."""
        self._position = position(runner, inside=not by_epoch)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=by_epoch,
        )
        self._position = {}
        if is_main_process():
            with durable_file(Path(runner.work_dir) / LAST_CHECKPOINT) as pointer:
                pointer.write_text(str(Path(self.out_dir) / name))

    def _supersede(self, runner: Runner, step: int) -> list[int]:
        """Note a new checkpoint among those kept and return the steps of those that it pushes out."""
        kept = [other for other in self.keep_ckpt_ids if other != step] + [step]
        self.keep_ckpt_ids.extend(kept)  # a deque of at most max_keep_ckpts
        runner.message_hub.update_info("keep_ckpt_ids", kept[-self.max_keep_ckpts :])
        return kept[: -self.max_keep_ckpts]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        # MMEngine's removes the old checkpoints before it writes the new ones, unless it does not know them
        if not self.save_best:
            return
        previous = self._best
        self._best = dict.fromkeys(previous)
        super()._save_best_checkpoint(runner, metrics)
        new = {score: path for score, path in self._best.items() if path is not None}
        self._best = {**previous, **new}
        if not (new and is_main_process()):
            return
        note_choice(runner)
        for score in new:
            path = previous.get(score)
            # a resumed run's may be in another work dir
            if path is not None and path != new[score] and self._is_own(path):
                Path(path).unlink(missing_ok=True)

    @property
    def _best(self) -> dict[str, str | None]:
        """The best checkpoint by score, as MMEngine's hook keeps it: for one score, or for several."""
        several = len(self.key_indicators) > 1
        return dict(self.best_ckpt_path_dict) if several else {"": self.best_ckpt_path}

    @_best.setter
    def _best(self, paths: dict[str, str | None]) -> None:
        if len(self.key_indicators) > 1:
            self.best_ckpt_path_dict = paths
        else:
            self.best_ckpt_path = paths[""]

    def _is_own(self, path: str) -> bool:
        return Path(path).parent.resolve() == Path(self.out_dir).resolve()


def _find_moved(runner: Runner) -> None:
    """Put into the message hub where a resumed run's checkpoints are now: with it, or where it wrote them.

    A best checkpoint that is gone is forgotten with its score, so that a new one is chosen.
    """
    hub, folder = runner.message_hub, resumed_file(runner).parent
    for key in [key for key in hub.runtime_info if key == "last_ckpt" or key.startswith("best_ckpt")]:
        named = Path(str(hub.get_info(key)))
        found = next((path for path in (folder / named.name, named) if path.is_file()), None)
        if found is not None:
            hub.update_info(key, str(found.absolute()))
        elif key != "last_ckpt":
            runner.logger.warning(f"{named}: the best checkpoint so far is gone; a new one will be chosen")
            hub.pop_info(key)
            hub.pop_info(key.replace("ckpt", "score", 1))
