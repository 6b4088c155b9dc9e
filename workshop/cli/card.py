"""Make, build and check model cards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

CARDS = Path("model_cards")
FAULTS = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 1 if ``check`` finds a fault; bad input raises InputError."""
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
        print(f"wrote {path}: write what is open in it, then run build {args.name}")
        return 0
    if args.command == "golden":
        from workshop.publishing import redraw_golden

        for name in args.names:
            redraw_golden(args.cards / name)
            print(f"drew the golden pair of {name} anew; now run build {name}")
        return 0
    # cards of one's own are no part of the package
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
        "--cards", type=Path, default=CARDS, metavar="DIR", help="where the cards are (default: model_cards)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="write README.md of a card, with what a person must write open")
    new.add_argument("name", metavar="NAME", help="<model>_<dataset>, for example m3amba-t_idtrees")
    new.add_argument(
        "--config", type=Path, help="for a card without weights: the config that trains it; makes the folder"
    )
    golden = commands.add_parser(
        "golden", help="draw the golden input anew and write the weights' logits of it"
    )
    golden.add_argument("names", nargs="+", metavar="NAME", help="of cards with weights")
    for command, summary in {
        "build": "write what is generated in the cards, the index and the table",
        "check": "say what is invalid or stale; exit code 1 if anything is",
    }.items():
        parts = commands.add_parser(command, help=summary)
        parts.add_argument("names", nargs="*", metavar="NAME", help="of cards (default: all)")
    return parser


def _is_checkout(cards: Path, package_index: Path) -> bool:
    """Whether the cards lie beside the package, so that their index is the package's."""
    return cards.resolve() == package_index.parents[2] / CARDS
