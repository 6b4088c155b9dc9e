"""The figures of one section of the benchmark, as a table and as JSON, and the machine they are from."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

NOT_MEASURED = "not_measured"  # the key of a row that says why it has no figures
CPU_INFO = Path("/proc/cpuinfo")
Row = dict[str, str | int | float]


@dataclass
class Section:
    """The rows of one table.

    Attributes:
        title: what was measured, with its shape.
        rows: figures by column, whose name ends with the unit. A row without figures has ``not_measured``.
        limits: what the figures are compared with, by name with unit.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        return {"title": self.title, "limits": self.limits, "rows": self.rows}

    def to_table(self) -> Table:
        """Return the rows as a table; a missing figure is a dash, with the reason as a remark."""
        table = Table(title=self.title, title_justify="left", caption=_limits(self.limits))
        columns = list(dict.fromkeys(key for row in self.rows for key in row if key != NOT_MEASURED))
        reasons = any(NOT_MEASURED in row for row in self.rows)
        for column in columns:
            figures = any(isinstance(row.get(column), float) for row in self.rows)
            heading = column.replace("_", "\n" if figures else " ")  # columns of figures are never cut
            table.add_column(heading, justify="right" if figures else "left", no_wrap=figures)
        if reasons:
            table.add_column("remark")
        for row in self.rows:
            cells = [_shown(row[column]) if column in row else "-" for column in columns]
            if reasons:
                cells.append(f"not measured: {row[NOT_MEASURED]}" if NOT_MEASURED in row else "")
            table.add_row(*cells)
        return table


def describe_machine() -> dict[str, str | int]:
    """Return the processor, its vector width, the threads in use and the versions of the libraries."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": version("numba"),
    }


def _processor() -> str:
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _limits(limits: Mapping[str, float]) -> str | None:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in limits.items()) or None


def _shown(value: str | int | float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
