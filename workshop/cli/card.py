"""Make, build and check model cards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

CARDS = Path("model_cards")
FAULTS = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if ``check`` finds a fault; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.hub.index import PACKAGE_INDEX
    from workshop.cards import (
        build_card,
        build_catalogue,
        card_folders,
        check_card,
        check_catalogue,
        new_card,
    )

    if args.command == "new":
        path = new_card(args.cards / args.name, args.config)
        print(f"wrote {path}: complete what is open in it, then run build {args.name}")
        return 0
    if args.command == "golden":
        from workshop.publishing import redraw_golden

        for name in args.names:
            redraw_golden(args.cards / name)
            print(f"drew the golden pair of {name} again; now run build {name}")
        return 0
    if args.command == "speeds":
        from m3amba_zoo.evaluation.record import write_json
        from workshop.cards.speeds import SPEEDS_FILE, measure_speeds

        for name in args.names:
            write_json(args.cards / name / SPEEDS_FILE, measure_speeds(args.cards / name))
            print(f"wrote {args.cards / name / SPEEDS_FILE}; now run build {name}")
        return 0
    # the user's own cards are not part of the package
    package_index = PACKAGE_INDEX if _is_checkout(args.cards, PACKAGE_INDEX) else None
    folders = [args.cards / name for name in args.names] or card_folders(args.cards)
    if args.command == "build":
        for folder in folders:
            build_card(folder)
        build_catalogue(args.cards, package_index)
        print(f"built {len(folders)} cards, the index and the table of {args.cards}")
        return 0
    faults = [fault for folder in folders for fault in check_card(folder)]
    if not args.names:
        faults += [] if faults else check_catalogue(args.cards, package_index)
    for fault in faults:
        print(fault, file=sys.stderr)
    return FAULTS if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="card.py", description=__doc__)
    parser.add_argument(
        "--cards", type=Path, default=CARDS, metavar="DIR", help="the folder of cards (default: model_cards)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="write a card's README.md, in which a person completes some parts")
    new.add_argument("name", metavar="NAME", help="<model>_<dataset>, for example m3amba-t_idtrees")
    new.add_argument(
        "--config", type=Path, help="make a folder for a card without weights, which this config trains"
    )
    golden = commands.add_parser(
        "golden", help="draw the golden input again and write the model's logits for it"
    )
    golden.add_argument("names", nargs="+", metavar="NAME", help="cards with weights")
    speeds = commands.add_parser(
        "speeds", help="measure scores on validation pixels, and time, by speed; nothing else should run"
    )
    speeds.add_argument("names", nargs="+", metavar="NAME", help="cards with weights")
    for command, summary in {
        "build": "write the generated parts of the cards, the index and the table",
        "check": "print what is invalid or stale; exit code 1 if anything is",
    }.items():
        parts = commands.add_parser(command, help=summary)
        parts.add_argument("names", nargs="*", metavar="NAME", help="cards (default: all)")
    return parser


def _is_checkout(cards: Path, package_index: Path) -> bool:
    """Return whether the cards are those of the package's checkout, whose index is the package's."""
    return cards.resolve() == package_index.parents[2] / CARDS
