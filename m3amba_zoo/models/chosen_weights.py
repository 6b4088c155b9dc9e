"""Which weights a work dir stands for: one answer for the final test, Predictor, publishing and metrics.json.

A training writes it to ``weights.json`` in its work dir, each time it writes a checkpoint that it would
choose.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import LAST_CHECKPOINT, named_checkpoint
from m3amba_zoo.reading import read_json
from m3amba_zoo.system import sha256_of, whole_file

CHOICE = "weights.json"
# the rules
LAST, BEST = "last epoch, number of epochs fixed beforehand", "best {} on validation pixels"


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
    chosen, answer = _read(Path(work_dir) / CHOICE), Path(work_dir) / CHOICE
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


def _read(answer: Path) -> ChosenWeights | None:
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
        if (chosen := _read(folder / CHOICE)) and chosen.sha256 == sha256:
            return chosen._replace(path=path)
    return ChosenWeights(path, sha256, f"none, {path.name} was given by name")
