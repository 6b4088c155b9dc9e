"""Markdown out of values that files hold: each is shown as it is, none is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"[\\`*_\[\]<>&~$]")
_LINE_START = re.compile(r"(#{1,6}|[+-]|\d+[.)])(?=\s|$)|[-=]+$")  # of a heading, a list or a rule


def escape(value: object) -> str:
    """Return a value as text on one line, without markup."""
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
    """Return lines of code, each of which stays one line."""
    shown = [_printable(line) for line in lines]
    fence = "`" * max(3, *(_longest_ticks(line) + 1 for line in shown))
    return [f"{fence}{language}", *shown, fence]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; its cells are Markdown (see ``escape`` and ``code``)."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _one_line(value: object) -> str:
    return " ".join(_printable(value).split())


def _printable(value: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value))


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
