"""Predict a map from rasters with a trained model."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.axes import parse_axes
from m3amba_zoo.rasters.request import (
    ALIGN,
    ALPHA,
    RasterRequest,
    check_align,
    parse_bands,
    parse_path,
)

STATEMENTS = {
    "bands": "bands to read, counted from 0, such as 0-5,7; they are taken in this order",
    "nodata": "the value of missing pixels, or one per band of the file, with commas",
    "scale": "a value is the file's number x scale + offset, in place of the file's own tags",
    "offset": "see --scale",
    "alpha": "what a band is that the file calls alpha: data, or the mask of missing pixels",
    "axes": "the order of an array's axes that its file does not name, such as row,column,band",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Predict and print the files written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from rich.console import Console
    from rich.progress import Progress

    from m3amba_zoo.inference.predictor import Predictor
    from m3amba_zoo.inference.raster_files import GEOTIFF, PICTURE, check_output

    rasters = _rasters(args)
    inputs = [path for request in rasters.values() for path in request.files]
    check_output(args.out, (*GEOTIFF, *PICTURE), inputs)
    if args.probabilities:
        check_output(args.probabilities, GEOTIFF, [*inputs, args.out])
    sys.path.append(os.getcwd())  # for modules of the user that custom_imports names
    predictor = Predictor(args.model)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("windows")
        prediction = predictor.predict(
            rasters,
            args.overlap,
            probabilities=args.probabilities is not None,
            strict=args.strict,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            grid=args.grid,
            match_bands=args.match_bands,
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
        help="a raster (GeoTIFF, ENVI, EnMAP, PRISMA, EMIT and what else GDAL opens; FILE:KEY for one array "
        "of a MATLAB, HDF5 or NetCDF file; FILE,FILE,... for files to be stacked); once per modality",
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
    stated = parser.add_argument_group(
        "what the files do not say",
        "each as MODALITY=VALUE, or as VALUE for all; what is not given holds as it was stated in training",
    )
    for name, help in STATEMENTS.items():
        stated.add_argument(f"--{name}", action="append", default=[], metavar="[MODALITY=]VALUE", help=help)
    parser.add_argument(
        "--align",
        action="append",
        nargs="?",
        const=ALIGN[0],
        default=[],
        metavar="[MODALITY=]METHOD",
        help="warp rasters that lie on another grid (resolution, extent, CRS, rotation) to the reference's: "
        f"{', '.join(ALIGN)} (default without METHOD: {ALIGN[0]})",
    )
    parser.add_argument(
        "--grid", metavar="MODALITY", help="the reference (default: that of the training, else the first)"
    )
    parser.add_argument(
        "--match-bands",
        action="store_true",
        help="resample spectra of other bands than the model's by wavelength, where both are known",
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse values that are unlike the training's, do not only warn"
    )
    return parser


def _rasters(args: argparse.Namespace) -> dict[str, RasterRequest]:
    """Return what is asked of each modality's file."""
    rasters: dict[str, RasterRequest] = {}
    for option in args.raster:
        modality, _, path = option.partition("=")
        if not modality or not path:
            raise InputError(f"--raster: '{option}', expected MODALITY=FILE")
        if modality in rasters:
            raise InputError(f"--raster: '{modality}' is given twice ({rasters[modality].path} and {path})")
        rasters[modality] = replace(parse_path(path), where=f"--raster {modality}")
    for name in (*STATEMENTS, "align"):
        for option in getattr(args, name):
            modality, equals, text = option.rpartition("=")
            if equals and modality not in rasters:
                raise InputError(
                    f"--{name}: '{option}' is for '{modality}', but the rasters are {', '.join(rasters)}"
                )
            value = _statement(name, text)
            for of in [modality] if equals else list(rasters):
                rasters[of] = replace(rasters[of], **{name: value})
    return rasters


def _statement(name: str, text: str) -> Any:
    """Return the value of an option of ``STATEMENTS``, or of ``--align``."""
    if name == "align":
        return check_align("--align", text)
    if name == "axes":
        return parse_axes(text, "--axes")
    if name == "bands":
        entries = [int(entry) if entry.strip().isdigit() else entry for entry in text.split(",")]
        return parse_bands(entries, "--bands")
    if name == "alpha":
        if text not in ALPHA:
            raise InputError(f"--alpha: '{text}', expected {' or '.join(ALPHA)}")
        return text
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise InputError(f"--{name}: '{text}', expected a number") from error
    if len(numbers) > 1 and name != "nodata":
        raise InputError(f"--{name}: '{text}', expected one number")
    return numbers if len(numbers) > 1 else numbers[0]
