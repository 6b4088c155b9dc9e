"""Checkpoints without arbitrary pickles: how MMEngine reads and writes them.

MMEngine 0.10 stores objects of its own classes, which torch >= 2.6 rightly refuses to load. The zoo
stores tensors and plain values only (``SafeCheckpointHook``), so that nothing has to be trusted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import LAST_CHECKPOINT, named_checkpoint, read_checkpoint
from m3amba_zoo.system.whole_file import whole_file

SEEDED_SPLITS = "seeded_splits"  # the message hub's note that the run's seed was also its splits'


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str | Path, map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint without running any code from it, in place of MMEngine's loader of local files.

    Raises:
        InputError: as ``read_checkpoint`` does.
    """
    return read_checkpoint(filename, map_location)


@CheckpointLoader.register_scheme([name for name in CheckpointLoader._schemes if name], force=True)
def load_from_elsewhere(filename: str, map_location: Any = None, **options: Any) -> dict[str, Any]:
    """Refuse what MMEngine would fetch and unpickle (``https://``, ``s3://``, ``modelzoo://``, ...).

    Raises:
        InputError: always.
    """
    raise InputError(f"{filename}: expected a local checkpoint; download the file and give its path")


def read_meta(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint says of its run (``seed``, ``epoch``, ...) without its weights.

    ``seeded_splits`` says whether the seed was the splits' too (``--seed``), ``freeze`` what was frozen.

    Raises:
        InputError: as ``read_checkpoint`` does.
    """
    checkpoint = read_checkpoint(path, map_location="meta")
    noted = checkpoint.get("message_hub", {}).get("runtime_info", {})
    noted = {SEEDED_SPLITS: noted.get(SEEDED_SPLITS, False), FREEZE: noted.get(FREEZE, [])}
    return {**checkpoint["meta"], **noted}


@register_backend("aside")
class AsideBackend(LocalBackend):
    """Writes files aside and renames them, so that each is there in full or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            InputError: the file cannot be written; what lay under that name before is still there.
        """
        with whole_file(filepath) as aside:
            aside.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the newest checkpoint of a work dir, also when the folder was moved; None if there is none.

    Raises:
        InputError: ``last_checkpoint`` names a file that is not there.
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
        InputError: the same data with another split, so that training pixels might be tested.
    """
    if trained.get("name") == given.get("name") and trained.get("sha256") != given.get("sha256"):
        raise InputError(
            f"{path}: trained on split '{trained.get('split')}' of {trained.get('name')} (sha256 "
            f"{trained.get('sha256', '')[:8]}), but the config has '{given.get('split')}' "
            f"({given.get('sha256', '')[:8]}): pixels that trained it would be tested"
        )
