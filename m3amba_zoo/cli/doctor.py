"""Say what this installation has and lacks; exit code 1 if a training could not start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line

CANNOT_TRAIN = 1
WIDTH = 18  # of names


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each thing that was looked at, or one JSON object; return 1 if one is at fault."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.cli.doctor_checks import findings

    found = []
    for finding in findings(args.work_dir):
        found.append(finding)
        if not args.json:
            print_line(f"{finding.name:{WIDTH}}  {'FAULT: ' if finding.fault else ''}{finding.says}")
    faults = [finding.name for finding in found if finding.fault]
    if args.json:
        entries = {one.name: {"says": one.says, "fault": one.fault, **one.facts} for one in found}
        print_json({"can_train": not faults, "faults": faults, "findings": entries})
    elif faults:
        print_line(f"a training cannot start: see {', '.join(faults)}")
    else:
        print_line("a training can start")
    return CANNOT_TRAIN if faults else 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=f"{__doc__} What the package's own environment variables name must be there.",
        examples=("m3amba doctor", "m3amba doctor --json"),
        exit_codes="exit codes: 0 a training could start, 1 it could not, 2 bad input (docs/commands.md)",
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
