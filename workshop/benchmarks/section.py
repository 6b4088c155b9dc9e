"""What a section of the benchmark found, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

NOT_MEASURED = "not_measured"  # the key of a row that says why it has no figures
Row = dict[str, str | int | float]


@dataclass
class Section:
    """The rows of one table.

    Attributes:
        title: what was measured, at which shape.
        rows: figures by column; the unit ends the column's name. A row without figures has ``not_measured``.
        limits: what the figures are held against, by name with unit.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON keeps."""
        return {"title": self.title, "limits": self.limits, "rows": self.rows}

    def to_table(self) -> Table:
        """Lay the rows out; a missing figure is a dash, its reason the remark."""
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


def _limits(limits: Mapping[str, float]) -> str | None:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in limits.items()) or None


def _shown(value: str | int | float) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
