"""Publish trained models as a card with the weights of the median run, and upload cards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from workshop.publishing import Published


def main(argv: Sequence[str] | None = None) -> int:
    """Publish, upload if asked, and print what was done; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if not args.work_dirs and args.push is None:
        raise InputError("no WORK_DIR is given; only --push works without one, for an existing card")
    if args.endpoint is not None and args.push is None:
        raise InputError("--endpoint is the address of an upload, so it needs --push REPO_ID")
    from workshop.publishing import check_may_push, publish, push

    console = Console(soft_wrap=True, markup=False, highlight=False)
    if args.push is not None:
        check_may_push()
    if args.work_dirs:
        _print(console, publish(args.work_dirs, args.name, args.cards, args.replace))
    if args.push is not None:
        console.print(f"uploaded: {push(args.cards / args.name, args.push, args.endpoint)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "work_dirs",
        nargs="*",
        type=Path,
        metavar="WORK_DIR",
        help="trainings of one config with different seeds, each with its test",
    )
    parser.add_argument("--name", required=True, help="the model's name, for example m3amba-t_idtrees")
    parser.add_argument(
        "--cards", type=Path, default=Path("model_cards"), metavar="DIR", help="default: model_cards"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace an existing card; the text written by hand in its README.md stays",
    )
    parser.add_argument(
        "--push",
        metavar="REPO_ID",
        help="upload the card to this repository of a Hugging Face hub (token: HF_TOKEN)",
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="address of another hub (default: huggingface_hub's)"
    )
    return parser


def _print(console: Console, published: Published) -> None:
    scores = ", ".join(f"seed {run.seed} {run.record['oa']:.4f}" for run in published.runs)
    of = "the median" if len(published.runs) % 2 else "the lower of the two medians"
    console.print(f"OA: {scores}")
    console.print(f"weights: seed {published.shipped.seed}, {of}")
    if not published.splits_checked:
        console.print("the data is not on this machine: splits and leaked pixels were not checked")
    for backend, difference in published.golden.items():
        console.print(f"golden check, scan backend {backend}: largest difference {difference:.2g}")
    console.print(f"wrote to {published.folder}:")
    for path in sorted(published.folder.iterdir()):
        console.print(f"  {path.name} ({path.stat().st_size:,} bytes)")
    for fault in published.to_do:
        console.print(f"not in the index yet: {fault}")
