"""Convert a checkpoint of M3amba's authors to a folder with config and weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line

NO_CLIP = "none"


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a checkpoint and print the files written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.hub.reference_checkpoint import convert_file

    encoder = {"type": "ClipImageEncoder", "name": args.clip_name, "weights": args.clip}
    out = args.out or Path(args.checkpoint.stem)
    weights = convert_file(args.checkpoint, out, args.modalities, None if args.clip == NO_CLIP else encoder)
    print_line(f"wrote {out / 'config.py'} and {weights}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=("m3amba convert_reference best_model.pth --out houston --modalities hsi lidar",),
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the authors' .pth")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the new folder (default: the checkpoint's name)"
    )
    parser.add_argument(
        "--modalities",
        nargs=2,
        default=["hsi", "lidar"],
        metavar="NAME",
        help="names for its two modalities, in the authors' order (default: hsi lidar)",
    )
    parser.add_argument(
        "--clip",
        default="openai",
        metavar="WEIGHTS",
        help="CLIP weights of the training: a file or open_clip's tag (default: openai); none: no CLIP",
    )
    parser.add_argument(
        "--clip-name", default="ViT-B-32-quickgelu", metavar="NAME", help="open_clip's name of the CLIP model"
    )
    parser.add_quiet()
    return parser
