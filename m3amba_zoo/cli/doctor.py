"""Say what this installation has and lacks; exit code 1 if a training could not start."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

CANNOT_TRAIN = 1
WIDTH = 18  # of names


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each thing that was looked at, or one JSON object; return 1 if one is at fault."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.cli.doctor_checks import findings
    from m3amba_zoo.cli.running import print_line

    found = []
    for finding in findings(args.work_dir):
        found.append(finding)
        if not args.json:
            print_line(f"{finding.name:{WIDTH}}  {'FAULT: ' if finding.fault else ''}{finding.says}")
    faults = [finding.name for finding in found if finding.fault]
    if args.json:
        entries = {one.name: {"says": one.says, "fault": one.fault, **one.facts} for one in found}
        print(json.dumps({"can_train": not faults, "faults": faults, "findings": entries}, indent=1))
    elif faults:
        print_line(f"a training cannot start: see {', '.join(faults)}")
    else:
        print_line("a training can start")
    return CANNOT_TRAIN if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"{__doc__} What the package's own environment variables name must be there."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path("work_dirs"),
        metavar="DIR",
        help="of trainings (default: work_dirs)",
    )
    return parser
