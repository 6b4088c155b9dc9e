"""Measure the scan, the network, memory, training, encoders, scenes, exported models and long runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from m3amba_zoo.errors import InputError

WIDTH_IN_FILES = 120
SECTIONS = (
    "scan",
    "network",
    "memory",
    "train",
    "batch_size",
    "encoder",
    "scene",
    "maps",
    "export",
    "endurance",
    "gpu",
)
ON_REQUEST = ("tile",)  # it takes half an hour


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print one table per section, and write JSON if asked; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.json and not args.json.parent.is_dir():
        raise InputError(f"--json {args.json}: the folder {args.json.parent} does not exist")
    from rich.console import Console

    from m3amba_zoo.evaluation.record import write_json
    from workshop.benchmarks.section import describe_machine

    console = Console()
    if not console.is_terminal:  # in a file, figures must not be cut to 80 columns
        console = Console(width=WIDTH_IN_FILES)
    machine = describe_machine()
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()), highlight=False)
    found = {}
    for name in args.sections:
        with console.status(f"measuring {name}"):
            section = import_module(f"workshop.benchmarks.{name}").measure()
        console.print(section.to_table())
        found[name] = section.to_dict()
    if args.json:
        write_json(args.json, {"machine": machine, "sections": found})
        console.print(f"wrote {args.json}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=(*SECTIONS, *ON_REQUEST),
        default=SECTIONS,
        help=f"what to measure (default: all but {', '.join(ON_REQUEST)}); nothing else should run",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser
