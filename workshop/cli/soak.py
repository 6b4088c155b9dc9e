"""Kill and stop a training many times, and compare what it ends as with an undisturbed one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

FAILURE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of what was found; return 1 if anything was wrong; bad input raises InputError."""
    args, train = _parser().parse_known_args(argv)

    from m3amba_zoo.cli.running import print_line
    from m3amba_zoo.stopping import SIGNALS
    from m3amba_zoo.system import whole_file
    from workshop.soak.trainings import Soak

    lines = ["| fault | given | trainings | wrong |", "|---|---|---|---|"]
    failed = False
    with TemporaryDirectory(prefix="m3amba-soak-") as folder:
        soak = Soak([args.config, *train], Path(folder, "runs"), args.soak_seed)
        tallies = [soak.kills(args.kills)]
        tallies += [soak.signals(args.signals, number) for number in SIGNALS]
    for tally in tallies:
        failed |= bool(tally.wrong)
        lines.append(f"| {tally.kind} | {tally.given} | {tally.trainings} | {len(tally.wrong)} |")
        for wrong in tally.wrong:
            print_line(f"wrong after {tally.kind}: {wrong}")
    text = "\n".join(lines) + "\n"
    print_line(text.rstrip())
    if args.table:
        with whole_file(args.table) as aside:
            aside.write_text(text, encoding="utf-8")
    return FAILURE if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soak.py", description=f"{__doc__} Other options are those of m3amba train."
    )
    parser.add_argument("config", metavar="CONFIG", help="of a small training with checkpoints to resume")
    parser.add_argument("--kills", type=int, default=25, metavar="N", help="default: 25")
    parser.add_argument("--signals", type=int, default=20, metavar="N", help="of each kind (default: 20)")
    parser.add_argument(
        "--soak-seed", type=int, default=0, metavar="N", help="of the moments at which they come"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table to this file, too")
    return parser
