"""Make a split into training and test pixels, or audit how much a split leaks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line, print_table
from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.registry import SOURCES, SPLITS
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import PARTS, Audit, audit, build_split, drop_unseen

# options passed on to the maker if given; a maker refuses an option that it lacks
MAKER_OPTIONS = (
    "size",
    "guard",
    "seed",
    "k",
    "fraction",
    "counts",
    "test_fraction",
    "train_fraction",
    "distance",
    "region",
    "step",
    "train",
    "test",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``make`` or ``audit``; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.command == "make" and args.out.suffix.lower() != ".npz":  # not scene.yaml, by a slip
        raise InputError(f"--out: {args.out}, expected a name that ends in .npz")
    scenes, unseen = _load_scenes(args.source)
    if unseen and not getattr(args, "json", False):
        print_line(f"{unseen:,} labelled pixels are left out, no raster shows them")
    split = build_split(_split_config(args), scenes)
    if args.command == "make":
        # without the rasters, labels may be among these that no raster shows
        split.save(args.out, [scene for scene in scenes if scene.rasters])
        counts = ", ".join(f"{split.count(part)} {part}" for part in PARTS)
        print_line(f"wrote {args.out}: {split.name}, {counts} pixels, sha256 {split.sha256}")
    else:
        found = audit(split, scenes, args.window)
        if args.json:
            print_json(asdict(found))
        else:
            print_audit(found)
    return 0


def print_audit(found: Audit) -> None:
    """Print the leak of a split."""
    header, rows = found.table()
    print_table(header, rows, header[1:], f"split {found.split}, sha256 {found.sha256[:8]}")
    for sentence in found.sentences():
        print_line(sentence)


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba split audit houston2013 --split official --window 11",
            "m3amba split make terramind --split blocks --size 32 --guard 8 --out blocks.npz",
            "m3amba split audit scene.yaml --split by_scene --test north --json",
        ),
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "make",
        help="make a split and save it",
        description="Make a split of a source's labelled pixels, and save it for a config to name.",
        examples=("m3amba split make terramind --split blocks --size 32 --guard 8 --out blocks.npz",),
    )
    make.add_quiet()
    make.add_argument("--out", type=Path, required=True, metavar="FILE.npz", help="where to write the split")
    measure = commands.add_parser(
        "audit",
        help="measure how much a split leaks",
        description="Measure how near a split's test pixels are to its training pixels, and how many of them "
        "a training window shows.",
        examples=("m3amba split audit houston2013 --split official --window 11",),
    )
    measure.add_argument("--window", type=int, default=11, help="side of a training window (default: 11)")
    measure.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for command in (make, measure):
        command.add_argument(
            "source", metavar="SOURCE", help="a registered source, or the path of a scene.yaml"
        )
        command.add_argument(
            "--split",
            required=True,
            metavar="NAME|FILE.npz",
            help=f"one of {', '.join(SPLITS.names())}, or a file",
        )
        add_maker_options(command)
    return parser


def add_maker_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that are passed on to the maker of a split."""
    parser.add_argument("--size", type=int, help="blocks: side of a block in pixels")
    parser.add_argument(
        "--guard", type=_number, help="blocks: pixels between train and test; by_scene: map units"
    )
    parser.add_argument("--seed", type=int, help="of the maker's random choices (default: 0)")
    parser.add_argument("--k", type=int, help="per_class: training pixels per class")
    parser.add_argument("--fraction", type=float, help="per_class: share of each class that trains")
    parser.add_argument("--counts", type=int, nargs="+", help="per_class: training pixels of each class")
    parser.add_argument("--test-fraction", type=float, help="blocks: test share of each class")
    parser.add_argument("--train-fraction", type=float, help="by_scene: training share of each class")
    parser.add_argument("--distance", type=float, help="by_scene: nearer scenes are one group (map units)")
    parser.add_argument("--region", type=float, help="by_scene: side of regions of scenes (map units)")
    parser.add_argument("--step", type=int, help="blocks, by_scene: test every STEP-th row and column only")
    parser.add_argument("--train", nargs="+", metavar="SCENE", help="by_scene: the scenes that train")
    parser.add_argument("--test", nargs="+", metavar="SCENE", help="by_scene: the scenes that test")


def _number(text: str) -> float:
    """Read a number, whole if it is written so."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _load_scenes(name: str) -> tuple[list[Scene], int]:
    """Load a registered source, or the manifest at a path; without its rasters, labels and masks alone.

    Labels that no raster shows are dropped and counted, as in training, if the rasters are here.
    """
    manifest = Path(name).suffix in (".yaml", ".yml")
    if name == "manifest":
        raise InputError("source 'manifest' is a file: give the path of its scene.yaml")
    source = SOURCES.build({"type": "manifest", "path": name} if manifest else {"type": name})
    try:
        return drop_unseen(source.load())
    except DataNotFoundError:
        return source.load(rasters=False), 0


def _split_config(args: argparse.Namespace) -> dict[str, Any]:
    given = given_options(args)
    if Path(args.split).suffix == ".npz":
        return {"type": "file", "path": args.split, **given}
    return {"type": args.split, **given}


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of ``add_maker_options`` that were given, by the makers' names."""
    options = {option: getattr(args, option) for option in MAKER_OPTIONS}
    return {option: value for option, value in options.items() if value is not None}
