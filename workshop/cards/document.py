"""A card's README.md as front matter and Markdown body, its generated blocks, and values as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import read_text
from m3amba_zoo.scenes.yaml_file import parse_yaml

_FRONT = re.compile(r"---\n(.*?\n)---\n(.*)", re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*", re.MULTILINE)
_MARKERS = re.compile(r"^<!-- (generated|end): ([\w-]+) -->$", re.MULTILINE)
_MARKUP = re.compile(r"[\\`*_\[\]<>&~$]")
_LINE_START = re.compile(r"(#{1,6}|[+-]|\d+[.)])(?=\s|$)|[-=]+$")  # of a heading, a list or a rule


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
        """The file's content; equal values give equal text."""
        front = yaml.safe_dump(dict(self.front), sort_keys=False, allow_unicode=True, width=110)
        return f"---\n{front}---\n{self.body}"


def read_document(path: Path) -> Document:
    """Read a card's README.md.

    Raises:
        InputError: if the file cannot be read, or its front matter is missing, is not a mapping, or has a
            comment, which rewriting would lose.
    """
    found = _FRONT.fullmatch(read_text(path).replace("\r\n", "\n"))
    if found is None:
        raise InputError(f"{path}: has no front matter, expected YAML between two lines '---' at the top")
    if comment := _COMMENT.search(found[1]):
        raise InputError(
            f"{path}: the front matter has the comment '{comment[0].strip()}', which rewriting would lose; "
            "move it into the text below"
        )
    front = parse_yaml(found[1], f"{path}: the front matter")
    if not isinstance(front, dict):
        raise InputError(f"{path}: the front matter is a {type(front).__name__}, expected keys and values")
    return Document(front, found[2])


def replace_blocks(body: str, blocks: Mapping[str, str], path: Path) -> str:
    """Return Markdown with new text in its blocks.

    A block is the text between the lines ``<!-- generated: NAME -->`` and ``<!-- end: NAME -->``.

    Args:
        body: the Markdown.
        blocks: the new text of each block by name.
        path: the file, for messages.

    Raises:
        InputError: if a block is missing, not closed, there twice, or not among ``blocks``.
    """
    parts: list[str] = []
    seen: list[str] = []
    position, opened = 0, ""
    for marker in _MARKERS.finditer(body):
        kind, name = marker.groups()
        if kind == "generated":
            if opened or name in seen or name not in blocks:
                fault = f"inside '{opened}'" if opened else "there twice" if name in seen else "unknown"
                raise InputError(f"{path}: the block '{name}' is {fault}; expected {', '.join(blocks)}")
            parts.append(body[position : marker.end()] + f"\n\n{blocks[name]}\n\n")
            opened = name
            seen.append(name)
        else:
            if name != opened:
                raise InputError(f"{path}: '{marker[0]}' closes no block; the open block is '{opened}'")
            position, opened = marker.start(), ""
    if opened:
        raise InputError(f"{path}: the block '{opened}' has no '<!-- end: {opened} -->'")
    for name in blocks:
        if name not in seen:
            raise InputError(f"{path}: has no '<!-- generated: {name} -->' with '<!-- end: {name} -->' below")
    return "".join(parts) + body[position:]


def escape(value: object) -> str:
    """Return a value as one line of text in which nothing is taken for markup."""
    text = _MARKUP.sub(r"\\\g<0>", _one_line(value))
    if start := _LINE_START.match(text):
        return f"{text[: start.end() - 1]}\\{text[start.end() - 1 :]}"
    return text


def code(value: object) -> str:
    """Return a value as code within a line."""
    text = _one_line(value)
    ticks = "`" * (_longest_ticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}" if text else "-"


def code_block(lines: Iterable[object], language: str) -> list[str]:
    """Return a block of code, one line per value."""
    shown = [_printable(line) for line in lines]
    fence = "`" * max(3, *(_longest_ticks(line) + 1 for line in shown))
    return [f"{fence}{language}", *shown, fence]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, whose cells are Markdown (see ``escape`` and ``code``)."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _one_line(value: object) -> str:
    return " ".join(_printable(value).split())


def _printable(value: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value))


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def portable_command(command: str) -> str:
    """Return a command line without ``--work-dir`` and with absolute paths shortened.

    Such a path keeps its part from the last ``configs/`` on, or else its last part.
    """
    command = re.sub(r"\s--work-dir(=|\s+)\S+", "", command)
    return re.sub(r"(?<![^\s=])[/~]\S+", lambda path: _shortened(path[0]), command)


def _shortened(path: str) -> str:
    _, found, after = path.rpartition("/configs/")
    return f"configs/{after}" if found else path.rstrip("/").rpartition("/")[2]
