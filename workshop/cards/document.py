"""README.md of a card as front matter and body, and as text again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from m3amba_zoo.errors import InputError, one_line

_FRONT = re.compile(r"---\n(.*?\n)---\n(.*)", re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*", re.MULTILINE)
_MARKERS = re.compile(r"^<!-- (generated|end): ([\w-]+) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A card's README.md.

    Attributes:
        front: the front matter.
        body: the Markdown below it.
    """

    front: Mapping[str, Any]
    body: str

    @property
    def text(self) -> str:
        """The file's content, the same for the same values."""
        front = yaml.safe_dump(dict(self.front), sort_keys=False, allow_unicode=True, width=110)
        return f"---\n{front}---\n{self.body}"


def read_text(path: Path) -> str:
    """Return a file's text with its line ends as they are.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error})") from error


def read_document(path: Path) -> Document:
    """Read a card's README.md.

    Raises:
        InputError: it cannot be read; its front matter is missing, no mapping, or has a comment, which
            rewriting would lose.
    """
    found = _FRONT.fullmatch(read_text(path).replace("\r\n", "\n"))
    if found is None:
        raise InputError(f"{path}: has no front matter, expected YAML between two lines '---' at the top")
    if comment := _COMMENT.search(found[1]):
        raise InputError(
            f"{path}: the front matter has the comment '{comment[0].strip()}', which would be lost; move it "
            "into the text below"
        )
    try:
        front = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is that of an impossible date
        raise InputError(f"{path}: the front matter is not YAML ({one_line(error)})") from error
    if not isinstance(front, dict):
        raise InputError(f"{path}: the front matter is a {type(front).__name__}, expected keys and values")
    return Document(front, found[2])


def replace_blocks(body: str, blocks: Mapping[str, str], path: Path) -> str:
    """Return a body with what stands between its markers replaced.

    A block is all between the lines ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.

    Args:
        body: Markdown.
        blocks: the new text by name.
        path: of the file, for messages.

    Raises:
        InputError: a block is missing, not closed, twice there, or none of ``blocks``.
    """
    parts: list[str] = []
    seen: list[str] = []
    position, opened = 0, ""
    for marker in _MARKERS.finditer(body):
        kind, name = marker.groups()
        if kind == "generated":
            if opened or name in seen or name not in blocks:
                fault = f"inside '{opened}'" if opened else "a second time" if name in seen else "unknown"
                raise InputError(f"{path}: the block '{name}' is {fault}; expected {', '.join(blocks)}")
            parts.append(body[position : marker.end()] + f"\n\n{blocks[name]}\n\n")
            opened = name
            seen.append(name)
        else:
            if name != opened:
                raise InputError(f"{path}: '{marker[0]}' closes nothing, the block '{opened}' is open")
            position, opened = marker.start(), ""
    if opened:
        raise InputError(f"{path}: the block '{opened}' has no '<!-- end: {opened} -->'")
    for name in blocks:
        if name not in seen:
            raise InputError(f"{path}: has no '<!-- generated: {name} -->' with '<!-- end: {name} -->' below")
    return "".join(parts) + body[position:]
