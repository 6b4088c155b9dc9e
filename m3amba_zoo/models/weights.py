"""Reads weights from files without running code from them, and says which weights a work dir stands for.

A training writes its answer to ``weights.json`` in its work dir, each time it writes a checkpoint that it
would choose. The final test, the Predictor, publishing and metrics.json follow it.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load, load_file
from torch import Tensor, nn

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.models.torchscript import is_torchscript
from m3amba_zoo.reading import library_errors, read_json, read_text
from m3amba_zoo.system import sha256_of, whole_file

WRAPPED = "module."  # what a wrapper for several processes puts before the names of parameters
PARTS: dict[str, Any] = {
    "meta": {
        "data": {"name": str, "split": str, "sha256": str},
        "epoch": int,
        "iter": int,
        "seed": (int, type(None)),
        "run": (str, type(None)),
        "steps_per_epoch": int,
        "decided_by": {"config": str, "config_sha256": str, "processes": int, "encoders": {}},
    },
    "message_hub": {
        "runtime_info": {
            "freeze": list,
            "keep_ckpt_ids": list,
            "extended": list,
            "last_ckpt": str,
            "train_seconds": (int, float),
            "seeded_splits": bool,
        },
        "log_scalars": {},
        "resumed_keys": {},
    },
    "optimizer": {"state": {}, "param_groups": list, "loss_scaler": {}},
    "param_schedulers": (list, dict),
    "position": {"generators": list, "gradients": {}},
}
"""What parts of a checkpoint are, where they are there: dicts with these parts, or of a type."""
WORDS = {int: "a whole number", (int, type(None)): "a whole number", str: "a text", list: "a list"}
LARGEST_SEED = 2**32 - 1  # NumPy's
LAST_CHECKPOINT = "last_checkpoint"  # MMEngine's file that names the newest checkpoint of a work dir
CHOICE = "weights.json"
# the rules
LAST, BEST = "last epoch, number of epochs fixed beforehand", "best {} on validation pixels"


def read_checkpoint(
    path: str | Path, map_location: Any = None, content: bytes | None = None
) -> dict[str, Any]:
    """Read a checkpoint, or the weights in a ``.safetensors`` file.

    Args:
        path: of the file.
        map_location: as for ``torch.load``.
        content: the bytes of a ``.safetensors`` file, if they were read already.

    Returns:
        A dict with at least ``state_dict`` and ``meta`` (empty for bare weights).

    Raises:
        InputError: if the file is absent, cut short or damaged, or holds pickled objects other than tensors
            and plain values.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    if path.suffix == ".safetensors":
        checkpoint: Any = _read_safetensors(path, map_location, content)
    else:
        checkpoint = read_plain(path, map_location)
    if not isinstance(checkpoint, Mapping):
        raise InputError(f"{path}: a {type(checkpoint).__name__}, expected a dict of weights")
    checkpoint = dict(checkpoint) if "state_dict" in checkpoint else {"state_dict": checkpoint}
    state = checkpoint["state_dict"]
    require_plain(state, path)
    if state and all(name.startswith(WRAPPED) for name in state):
        checkpoint["state_dict"] = {name.removeprefix(WRAPPED): value for name, value in state.items()}
    _require_parts(checkpoint, PARTS, path)
    for key, limit in {"epoch": math.inf, "iter": math.inf, "seed": LARGEST_SEED}.items():
        value = checkpoint.get("meta", {}).get(key)
        if value is not None and not 0 <= value <= limit:
            wanted = "0 or more" if limit == math.inf else f"0 to {limit}"
            raise InputError(f"{path}: 'meta.{key}' is {value}, expected {wanted}")
    # MMEngine would run the text under `config` as Python
    checkpoint["meta"] = {key: value for key, value in checkpoint.get("meta", {}).items() if key != "config"}
    return checkpoint


def require_plain(state: Any, path: str | Path) -> None:
    """Check that a state dict has plain tensors, all of whose values are there, by name.

    Raises:
        InputError: if it is something else; or a tensor is sparse, quantised or complex, or repeats values
            of its storage, so that a short file would fill the memory.
    """
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state dict, expected tensors by name")
    for name, value in state.items():
        if not isinstance(name, str):
            raise InputError(f"{path}: a tensor is called {name!r}, expected a text")
        plain = value.layout is torch.strided and not value.is_quantized and not value.is_complex()
        if not plain or value.nbytes > value.untyped_storage().nbytes():
            kind = f"{value.dtype} {_shape(value.shape)}".removeprefix("torch.")
            raise InputError(f"{path}: '{name}' is no plain tensor of real numbers ({kind})")


def _require_parts(node: Mapping[str, Any], parts: Mapping[str, Any], path: Path, where: str = "") -> None:
    """Raise InputError unless parts of a checkpoint are of the types that its readers take for granted."""
    for name, expected in parts.items():
        is_dict = isinstance(expected, Mapping)
        if name not in node:
            continue
        if not isinstance(node[name], Mapping if is_dict else expected):
            words = "a dict" if is_dict else WORDS.get(expected, "what a training writes")
            raise InputError(f"{path}: '{where}{name}' is a {type(node[name]).__name__}, expected {words}")
        if is_dict:
            _require_parts(node[name], expected, path, f"{where}{name}.")


def named_checkpoint(pointer: Path) -> Path:
    """Return the checkpoint that a ``last_checkpoint`` file names.

    A file of that name beside it comes first, for folders that were moved or copied.

    Raises:
        InputError: if the file is damaged, or the checkpoint is neither beside it nor at the path in it.
    """
    named = Path(read_text(pointer, "damaged, expected the path of a checkpoint").strip())
    for path in (pointer.parent / named.name, named):
        if os.path.isfile(path):  # False too for what no file can be called
            return path
    raise InputError(f"{pointer}: names {named}, which is not there; give the path of a checkpoint instead")


def load_weights(model: nn.Module, path: str | Path, content: bytes | None = None) -> None:
    """Load a checkpoint's weights, which must fit the model exactly; ``content`` as for ``read_checkpoint``.

    Raises:
        InputError: if the file cannot be read (``read_checkpoint``) or does not fit (``check_fit``).
    """
    state = read_checkpoint(path, "cpu", content)["state_dict"]
    check_fit(state, model.state_dict(), path)
    model.load_state_dict(state, strict=False)


class Misfit(NamedTuple):
    """A tensor in which two state dicts differ, with its shape in each; None where it is not there."""

    name: str
    expected: tuple[int, ...] | None
    given: tuple[int, ...] | None


def find_misfit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Misfit | None:
    """Return the first thing in which the names and shapes of two state dicts differ; None if they agree."""
    for name in {**expected, **given}:
        wanted, found = (tuple(state[name].shape) if name in state else None for state in (expected, given))
        counts_steps = found is None and name.endswith("num_batches_tracked")
        if wanted != found and not counts_steps:
            return Misfit(name, wanted, found)
    return None


def check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: str | Path) -> None:
    """Check that a checkpoint's weights fit a model whose state dict is ``expected``.

    Raises:
        InputError: if a parameter is missing, left over or has another shape; the message names the first one
            and both shapes.
    """
    if (found := find_misfit(expected, state)) is None:
        return
    name, wanted, given = found
    if given is None:
        fault = f"the model's '{name}' {_shape(wanted)} is not in it"
    elif wanted is None:
        fault = f"the model has no '{name}' {_shape(given)}"
    else:
        fault = f"'{name}' is {_shape(given)} in the checkpoint and {_shape(wanted)} in the model"
    raise InputError(
        f"{path} does not fit the config: {fault}; use the config that the checkpoint was trained with, and "
        "its --data if it is a recipe"
    )


def _shape(shape: Iterable[int] | None) -> str:
    return f"({', '.join(map(str, shape or ()))})"


def _read_safetensors(path: Path, map_location: Any, content: bytes | None) -> dict[str, Tensor]:
    with library_errors(path, "cut short or damaged, not a safetensors file"):
        tensors = load_file(path) if content is None else load(content)
        return {name: value.to(map_location) for name, value in tensors.items()}


def read_plain(path: Path, map_location: Any = None) -> Any:
    """Read a file of tensors, plain values and their containers that torch saved.

    Raises:
        InputError: if the file is cut short or damaged, cannot be read, or holds other pickled objects.
    """
    with library_errors(path, "cut short or damaged, or not a checkpoint"):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if is_torchscript(archive):
                    raise InputError(f"{path}: a TorchScript archive, which holds code; tensors are expected")
                if damaged := archive.testzip():  # torch does not compare the checksums itself
                    raise InputError(f"{path}: damaged (the checksum of '{damaged}' does not match)")
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            if refused := re.search(r"GLOBAL (\S+)", str(error)):
                raise InputError(
                    f"{path}: holds a pickled {refused[1]}, expected tensors and plain values only; "
                    "other pickles are not loaded because they can run code"
                ) from error
            raise


def matching_names(patterns: Sequence[str], names: Iterable[str], option: str) -> set[str]:
    """Return the names that a pattern matches.

    Args:
        patterns: for ``fnmatch``, case-sensitive, such as ``neck.*``.
        names: of parameters or buffers.
        option: the option that gives the patterns, for messages.

    Raises:
        InputError: if they are not a list of patterns, or one matches nothing; the message has close names.
    """
    if isinstance(patterns, str) or not all(isinstance(pattern, str) for pattern in patterns):
        raise InputError(f"{option} is {patterns!r}, expected a list of patterns such as ['neck.*']")
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise InputError(f"{option}: no parameter is called '{pattern}'; {_hint(pattern, names)}")
        found |= matched
    return found


def _hint(pattern: str, names: Sequence[str]) -> str:
    parts = dict.fromkeys(
        ".".join(name.split(".")[:depth]) + ".*"
        for depth in (1, 2, 3)
        for name in names
        if name.count(".") >= depth
    )
    tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
    return close_names(pattern, [*parts, *names]) or f"the model's parts are {tops}"


class ChosenWeights(NamedTuple):
    """The weights that a training chose.

    Attributes:
        path: of the checkpoint.
        sha256: of the file.
        rule: by which it was chosen, in words.
    """

    path: Path
    sha256: str
    rule: str


def write_choice(work_dir: str | Path, path: Path, rule: str) -> None:
    """Write which weights a work dir stands for.

    Args:
        work_dir: the training's.
        path: of the checkpoint; in another folder if a resumed run has not bettered it.
        rule: see ``ChosenWeights``.

    Raises:
        InputError: if the file cannot be written.
    """
    work_dir, path = Path(work_dir), Path(os.path.abspath(path))
    file = path.name if path.parent == Path(os.path.abspath(work_dir)) else str(path)
    content = {"file": file, "sha256": sha256_of(path), "rule": rule}
    with whole_file(work_dir / CHOICE) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_choice(work_dir: str | Path) -> ChosenWeights | None:
    """Return the weights that a work dir stands for; None if no training has written it.

    Raises:
        InputError: if ``weights.json`` is damaged, or the checkpoint is gone or has changed since.
    """
    chosen, answer = _stated_choice(Path(work_dir) / CHOICE), Path(work_dir) / CHOICE
    if chosen is None:
        return None
    if not os.path.isfile(chosen.path):
        raise InputError(f"{answer}: names {chosen.path}, which is not there")
    if (found := sha256_of(chosen.path)) != chosen.sha256:
        raise InputError(
            f"{answer}: names {chosen.path.name} with sha256 {chosen.sha256[:8]}, but the file has "
            f"{found[:8]}; run the training again with --resume, or give the weights file"
        )
    return chosen


def _stated_choice(answer: Path) -> ChosenWeights | None:
    if not answer.is_file():
        return None
    said = read_json(answer)
    known: list[Any] = [
        said.get(key) if isinstance(said, dict) else None for key in ("file", "sha256", "rule")
    ]
    if not all(isinstance(value, str) and value for value in known):
        raise InputError(f"{answer}: damaged, expected file, sha256 and rule of a training")
    file, sha256, rule = known
    return ChosenWeights(answer.parent / file, sha256, rule)  # an absolute path stays as it is


def forget_choice(work_dir: str | Path) -> None:
    """Remove the answer of an earlier training."""
    (Path(work_dir) / CHOICE).unlink(missing_ok=True)


def trained_weights(work_dir: Path) -> Path | None:
    """Return the checkpoint that a work dir stands for; None if it is no work dir.

    Without ``weights.json`` it is the checkpoint that MMEngine calls the last.

    Raises:
        InputError: as in ``read_choice``; or if the file is absent and there are ``best_*.pth``, too.
    """
    if chosen := read_choice(work_dir):
        return chosen.path
    pointer = work_dir / LAST_CHECKPOINT
    if not pointer.is_file():
        return None
    if best := sorted(path.name for path in work_dir.glob("best_*.pth")):
        raise InputError(
            f"{work_dir}: has no {CHOICE}, which says whether its training chose {', '.join(best)} or the "
            "last checkpoint; run the training again with --resume, or give the weights file"
        )
    return named_checkpoint(pointer)


def tested_weights(path: Path, work_dir: str | Path) -> ChosenWeights:
    """Describe weights that are tested: as their training chose them, or else as given by name.

    Args:
        path: of the weights.
        work_dir: of the test; the folder of the weights may say how they were chosen, too.

    Raises:
        InputError: if ``weights.json`` is damaged.
    """
    sha256 = sha256_of(path)
    for folder in (Path(work_dir), path.parent):
        if (chosen := _stated_choice(folder / CHOICE)) and chosen.sha256 == sha256:
            return chosen._replace(path=path)
    return ChosenWeights(path, sha256, f"none, {path.name} was given by name")
