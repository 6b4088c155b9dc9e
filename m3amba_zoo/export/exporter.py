"""From a trained model to one file that needs neither this package nor, as ONNX, torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.evaluation.record import METRICS_FILE
from m3amba_zoo.export.facts import facts_of
from m3amba_zoo.export.formats import FORMATS
from m3amba_zoo.export.whole_function import exported_window, trace
from m3amba_zoo.hub.resolve import locate
from m3amba_zoo.hub.trained_model import find_weights, read_own_record, visible_files
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.system import whole_file

OLDEST_TORCH = "2.8"  # the first that exports a loop and translates it to ONNX


class Exported(NamedTuple):
    """An exported file: its path, and the facts that it carries."""

    path: Path
    facts: dict[str, Any]


def export_model(name_or_path: str | Path, to: str, out: str | Path | None = None) -> Exported:
    """Write a trained model's whole function, from raw bands to posteriors, to one file.

    Args:
        name_or_path: as for ``Predictor``.
        to: ``onnx`` or ``torch``.
        out: the file, ``.onnx`` or ``.pt2``; None takes the model's name and this folder.

    Raises:
        InputError: if there is no such model or format, the file cannot be written or is one of the model's
            own, what the format needs is not installed, or the model cannot be exported.
    """
    if to not in FORMATS:
        raise InputError(f"no format is called '{to}'; expected {' or '.join(FORMATS)}")
    suffix, packages, write = FORMATS[to]
    _require(to, packages)
    found, name = locate(name_or_path), Path(name_or_path).resolve().name
    folder = found.folder
    _refuse_classifier(folder)
    trained = found.load()
    path = Path(f"{name}{suffix}" if out is None else out)
    _check_out(path, suffix, folder)
    model = trained.model.eval()
    window = exported_window(model, trained.window)
    facts = facts_of(name, folder, trained, window)
    try:
        with _silence():
            content = write(trace(model, window), facts)
    except InputError:
        raise
    except Exception as error:  # of many kinds, about what a network does
        cause = error.__cause__ or error  # torch.onnx puts pages of advice around it
        raise InputError(
            f"{name}: {type(model).__name__} cannot be exported to {to} ({one_line(cause)})"
        ) from error
    with whole_file(path) as aside:
        aside.write_bytes(content)
    return Exported(path, facts)


def _require(to: str, packages: tuple[str, ...]) -> None:
    if torch.torch_version.TorchVersion(torch.__version__) < OLDEST_TORCH:
        raise InputError(f"export needs torch {OLDEST_TORCH} or newer, but {torch.__version__} is installed")
    if missing := [package for package in packages if find_spec(package) is None]:
        raise InputError(
            f"export to {to} needs {' and '.join(missing)}, which is not installed: pip install "
            "'m3amba_zoo[export]'"
        )


def _refuse_classifier(folder: Path) -> None:
    """Raise InputError if a folder is the work dir of a classical classifier."""
    if not (folder / METRICS_FILE).is_file():
        return
    described = read_own_record(folder / METRICS_FILE).get("model") or {}
    if CLASSIFIERS.get(str(described.get("type"))) is not None:
        raise InputError(
            f"{folder}: holds a {described['type']}, but only networks are exported; a classical classifier "
            "is not made of torch's operators"
        )


def _check_out(path: Path, suffix: str, folder: Path) -> None:
    """Raise InputError if it is known before the export that the file cannot be written there."""
    read = [*visible_files(folder, "*.py"), find_weights(folder), folder / METRICS_FILE]
    if path.exists() and any(file.exists() and path.samefile(file) for file in read):
        raise InputError(f"{path}: is a file of the model that is exported, and cannot be the output")
    if path.is_dir():
        raise InputError(f"{path}: cannot be written, it is a folder")
    if path.suffix.lower() != suffix:
        raise InputError(f"{path}: cannot be written, its name should end in {suffix}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: cannot be written, there is no folder {path.absolute().parent}")


@contextmanager
def _silence() -> Iterator[None]:
    """Hide what torch says of its own progress and future."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
