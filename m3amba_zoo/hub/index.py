"""The index of published models: every file with its size and sha256. It alone decides what may be loaded.

The index ships with the package (``published.json``, the same as ``model_cards/index.json``). Files from a
mirror are compared with what this release published, never with what the mirror says.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import check_schema, read_bytes, read_json
from m3amba_zoo.system import sha256_of

PACKAGE_INDEX = Path(__file__).with_name("published.json")
CONFIG = "config.py"  # of a card, and of a model's folder
FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # of models and files: one part of a path, never hidden
SHA256 = re.compile(r"[0-9a-f]{64}")
_ENTRY = {
    "type": "object",
    "required": ["files", "weights", "reason", "summary"],
    "properties": {
        "files": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["size", "sha256"]},
        },
        "weights": {"type": "string"},
        "reason": {"type": "string"},
        "summary": {"type": "object"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["models"],
    "properties": {"models": {"type": "object", "additionalProperties": _ENTRY}},
}
"""The structure of an index (JSON Schema); names, sizes and hashes are checked one by one."""
LARGEST = 2**34  # bytes of one file


@dataclass(frozen=True)
class PublishedFile:
    """A file of a card.

    Attributes:
        path: its name in the card's folder.
        size: bytes.
        sha256: 64 hexadecimal digits.
    """

    path: str
    size: int
    sha256: str

    def compare(self, place: object, size: int, sha256: str) -> None:
        """Compare what was found at a place with what was published.

        Raises:
            InputError: if the size or the hash differs.
        """
        if size != self.size:
            raise InputError(f"{place}: has {size} bytes, expected {self.size} as published: it is refused")
        if sha256 != self.sha256:
            raise InputError(
                f"{place}: its sha256 begins with {sha256[:8]}, expected {self.sha256[:8]} as published: "
                "it is refused"
            )


@dataclass(frozen=True)
class PublishedModel:
    """A card's entry.

    Attributes:
        name: of the model and its folder.
        files: config, metrics, weights, golden pair, README and map.
        weights: which of the files holds the weights; empty if there are none.
        reason: why there are no weights; empty if there are.
        summary: what tables show: dataset, modalities, simulated, scores; copied from the card.
    """

    name: str
    files: tuple[PublishedFile, ...]
    weights: str
    reason: str
    summary: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The sha256 of the files' names and hashes: it changes when any of them does."""
        listed = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(self.files, key=lambda f: f.path))
        return hashlib.sha256(listed.encode()).hexdigest()

    def file(self, path: str) -> PublishedFile:
        """Return the file of this name.

        Raises:
            InputError: if the card has no such file.
        """
        for file in self.files:
            if file.path == path:
                return file
        raise InputError(f"model '{self.name}' has no file '{path}'")

    def read(self, path: Path) -> bytes:
        """Read a file of the card once, and return the bytes that were compared: nobody can swap them.

        Raises:
            InputError: if it cannot be read, was not published, or has another size or content.
        """
        file, content = self.file(path.name), read_bytes(path)
        file.compare(path, len(content), hashlib.sha256(content).hexdigest())
        return content


def lacks(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the names of files that a folder does not have."""
    return [name for name in names if not (folder / name).is_file()]


def verify_card(folder: Path, model: PublishedModel, needed: Iterable[str] | None = None) -> None:
    """Compare the size and sha256 of every file in a card's folder with the index.

    A file that was not published is refused too, since a loader might take it. Hidden files, which desktops
    and editors leave, are ignored.

    Args:
        folder: the card.
        model: what was published.
        needed: the files that must be there; None for all published ones.

    Raises:
        InputError: if a file is missing, unknown, unreadable, or has another size or content.
    """
    listed = {file.path: file for file in model.files}
    if missing := lacks(folder, listed if needed is None else needed):
        raise InputError(
            f"{folder}: lacks {', '.join(sorted(missing))} of the published model '{model.name}'"
        )
    for path in sorted(folder.iterdir()):
        if file := listed.get(path.name):
            try:
                size = path.stat().st_size
                sha256 = sha256_of(path) if size == file.size else ""
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error.strerror})") from error
            file.compare(path, size, sha256)
        elif path.name != "__pycache__" and not path.name.startswith("."):
            raise InputError(
                f"{path}: does not belong to the published model '{model.name}': the card is refused"
            )


def read_index(path: Path = PACKAGE_INDEX) -> dict[str, PublishedModel]:
    """Read an index by model name, sorted.

    Raises:
        InputError: if the file is absent, damaged or of another format, or names a file that would lie
            outside the card's folder.
    """
    content = read_json(path)
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, Mapping) else type(content).__name__
        raise InputError(f"{path}: format is {found!r}, this release reads {FORMAT}")
    check_schema(content, SCHEMA, path)
    try:
        return {name: _model(name, entry) for name, entry in sorted(content["models"].items())}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def index_text(models: Mapping[str, PublishedModel]) -> str:
    """Return the content of an index file."""
    content = {
        "format": FORMAT,
        "models": {
            name: {
                "files": {file.path: {"size": file.size, "sha256": file.sha256} for file in model.files},
                "weights": model.weights,
                "reason": model.reason,
                "summary": model.summary,
            }
            for name, model in sorted(models.items())
        },
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _model(name: str, entry: Mapping[str, Any]) -> PublishedModel:
    if not NAME.fullmatch(name):
        raise InputError(f"model '{name}': a name has letters, digits, '-', '_' and '.' only")
    files = tuple(_file(name, path, facts) for path, facts in entry["files"].items())
    model = PublishedModel(name, files, str(entry["weights"]), str(entry["reason"]), dict(entry["summary"]))
    if bool(model.weights) == bool(model.reason):
        raise InputError(f"model '{name}' needs either weights or the reason why there are none")
    if model.weights:
        model.file(model.weights)
    return model


def _file(name: str, path: str, facts: Mapping[str, Any]) -> PublishedFile:
    if not NAME.fullmatch(path):
        raise InputError(f"model '{name}' names the file '{path}', expected a plain name within its folder")
    size, sha256 = facts["size"], facts["sha256"]
    if not isinstance(size, int) or not 0 < size <= LARGEST:
        raise InputError(f"model '{name}': the size of '{path}' is {size!r}, expected 1 to {LARGEST} bytes")
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise InputError(f"model '{name}': the sha256 of '{path}' is {sha256!r}, expected 64 hex digits")
    return PublishedFile(path, size, sha256)
