"""Checkpoints without arbitrary pickles: how they are read, and how they are written.

MMEngine 0.10 stores objects of its own classes, which torch >= 2.6 rightly refuses to load. The zoo
stores tensors and plain values only (``SafeCheckpointHook``), so that nothing has to be trusted.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import CheckpointLoader
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from m3amba_zoo.errors import InputError

LAST_CHECKPOINT = "last_checkpoint"  # MMEngine's file that names the newest checkpoint of a work dir


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str | Path, map_location: Any = None) -> dict[str, Any]:
    """Read a checkpoint, or the weights in a ``.safetensors`` file, without running any code from it.

    It takes the place of MMEngine's loader of local files.

    Returns:
        A dict with at least ``state_dict`` and ``meta`` (empty for bare weights).

    Raises:
        InputError: the file is absent, cut short or damaged, or holds pickled objects other than tensors
            and plain values.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    if path.suffix == ".safetensors":
        checkpoint: Any = _read_safetensors(path, map_location)
    else:
        checkpoint = _read_torch(path, map_location)
    if not isinstance(checkpoint, Mapping):
        raise InputError(f"{path}: a {type(checkpoint).__name__}, expected a dict of weights")
    checkpoint = dict(checkpoint) if "state_dict" in checkpoint else {"state_dict": checkpoint}
    # MMEngine would execute the text under `config` as Python
    checkpoint["meta"] = {key: value for key, value in checkpoint.get("meta", {}).items() if key != "config"}
    return checkpoint


def read_meta(path: str | Path) -> dict[str, Any]:
    """Return what a checkpoint says of its run (``seed``, ``epoch``, ...) without its weights.

    Raises:
        InputError: as ``load_from_local`` does.
    """
    return load_from_local(path, map_location="meta")["meta"]


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Tensor]:
    try:
        return {name: value.to(map_location) for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise InputError(f"{path}: cut short or damaged, not a safetensors file ({error})") from error


def _read_torch(path: Path, map_location: Any) -> Any:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():  # torch does not compare the checksums itself
                    raise InputError(f"{path}: damaged (the checksum of '{damaged}' does not match)")
        return torch.load(path, map_location=map_location, weights_only=True)
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # torch and zipfile raise nearly anything on a damaged file
        if refused := re.search(r"GLOBAL (\S+)", str(error)):
            raise InputError(
                f"{path}: holds a pickled {refused[1]}, expected tensors and plain values only; "
                "other pickles are not loaded because they can run code"
            ) from error
        raise InputError(f"{path}: cut short or damaged, or not a checkpoint") from error


@register_backend("aside")
class AsideBackend(LocalBackend):
    """Writes files aside and renames them, so that each is there in full or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            InputError: the file cannot be written; what lay under that name before is still there.
        """
        aside = Path(f"{filepath}.{os.getpid()}.part")
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(filepath)
        except OSError as error:
            raise InputError(f"{filepath}: cannot be written ({error.strerror})") from error
        finally:
            aside.unlink(missing_ok=True)


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Return the newest checkpoint of a work dir, also when the folder was moved; None if there is none.

    Raises:
        InputError: ``last_checkpoint`` names a file that is not there.
    """
    pointer = Path(work_dir) / LAST_CHECKPOINT
    if not pointer.is_file():
        return None
    named = Path(pointer.read_text().strip())
    for path in (named, pointer.parent / named.name):
        if path.is_file():
            return path
    raise InputError(f"{pointer}: names {named}, which is not there; give --resume the checkpoint's path")


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


def check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: str | Path) -> None:
    """Compare a checkpoint's weights with those of the model that shall take them.

    Raises:
        InputError: a parameter is missing, left over or of another shape; the message names the first
            one and both shapes.
    """
    advice = "use the config that the checkpoint was trained with (modalities, in_channels, num_classes)"
    for name, value in expected.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):
                continue
            raise InputError(
                f"{path} does not fit the config: the model's '{name}' {_shape(value)} is not in it; {advice}"
            )
        if state[name].shape != value.shape:
            raise InputError(
                f"{path} does not fit the config: '{name}' is {_shape(state[name])} in the checkpoint and "
                f"{_shape(value)} in the model; {advice}"
            )
    for name in state:
        if name not in expected:
            raise InputError(
                f"{path} does not fit the config: the model has no '{name}' {_shape(state[name])}; {advice}"
            )


def _shape(value: Tensor) -> str:
    return f"({', '.join(map(str, value.shape))})"
