"""Predict a map from rasters with a trained model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Predict and print the files written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from rich.console import Console
    from rich.progress import Progress

    from m3amba_zoo.inference.predictor import Predictor
    from m3amba_zoo.inference.raster_files import GEOTIFF, PICTURE, check_output

    rasters = _rasters(args.raster)
    check_output(args.out, (*GEOTIFF, *PICTURE))
    if args.probabilities:
        check_output(args.probabilities, GEOTIFF)
    predictor = Predictor(args.model)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("windows")
        prediction = predictor.predict(
            rasters,
            args.overlap,
            probabilities=args.probabilities is not None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    prediction.save(args.out)
    if args.probabilities:
        prediction.save_probabilities(args.probabilities)
    for path in filter(None, (args.out, args.probabilities)):
        console.print(f"wrote {path}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the work dir of a training, a folder with config.py and a .safetensors file, or the name of a "
        "published model (m3amba download list)",
    )
    parser.add_argument(
        "--raster",
        action="append",
        required=True,
        metavar="MODALITY=FILE",
        help="a co-registered raster (GeoTIFF, ENVI); once per modality of the model",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="MAP", help="the map, a georeferenced .tif or a .png"
    )
    parser.add_argument(
        "--probabilities", type=Path, metavar="FILE.tif", help="also write probabilities, one band per class"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        help="overlap of neighbouring windows, 0 to below 1 (default: 0.5; 0 for patch-wise models)",
    )
    return parser


def _rasters(given: Sequence[str]) -> dict[str, str]:
    rasters: dict[str, str] = {}
    for option in given:
        modality, _, path = option.partition("=")
        if not modality or not path:
            raise InputError(f"--raster: '{option}', expected MODALITY=FILE")
        if modality in rasters:
            raise InputError(f"--raster: '{modality}' is given twice ({rasters[modality]} and {path})")
        rasters[modality] = path
    return rasters
