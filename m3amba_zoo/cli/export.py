"""Export a trained model, raw bands to posteriors, to a file that runs without this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line


def main(argv: Sequence[str] | None = None) -> int:
    """Export a model and print what the file takes and gives; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.export import export_model

    path, facts = export_model(args.model, args.to, args.out)
    side = facts["window"] + 2 * facts["margin"]
    takes = ", ".join(f"{m['name']} (batch, {m['bands']}, {side}, {side})" for m in facts["modalities"])
    gives = f"(batch, {len(facts['classes'])}, {facts['window']}, {facts['window']})"
    print_line(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print_line(f"takes {takes}: float32, in the raster's units, NaN where a value is missing")
    for modality in facts["modalities"]:
        if made := modality.get("features"):
            print_line(
                f"'{modality['name']}' are features, which this file does not make: "
                f"{made['encoder']['type']} makes them of {', '.join(made['of'])} (docs/export.md)"
            )
    print_line(f"gives posteriors and logits, {gives} each")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=f"{__doc__} docs/export.md shows how to use it.",
        examples=(
            "m3amba export m3amba-t_terramind --to onnx",
            "m3amba export work_dirs/mine --to torch --out mine.pt2",
        ),
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the work dir of a training, a folder with config.py and a .safetensors file, or the name of a "
        "published model (m3amba download list)",
    )
    parser.add_argument(
        "--to",
        required=True,
        choices=("onnx", "torch"),
        help="onnx: for onnxruntime and other runtimes; torch: for torch.export.load",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a .onnx or .pt2 file, replaced if it exists (default: the model's name in this folder)",
    )
    parser.add_quiet()
    return parser
