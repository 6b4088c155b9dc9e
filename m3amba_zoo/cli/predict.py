"""Predict a map from rasters with a trained model."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3amba_zoo import stopping
from m3amba_zoo.cli.command_parser import CommandParser, own_command
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.coordinates import parse_axes
from m3amba_zoo.rasters.crs import read_crs
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

NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)e[-+]?\d+|-inf", re.IGNORECASE)


def main(argv: Sequence[str] | None = None) -> int:
    """Predict and print the files written; bad input raises InputError.

    A prediction to a ``.tif`` that was stopped goes on when the same command is given again.
    """
    args = _parser().parse_args(join_negative_numbers(sys.argv[1:] if argv is None else argv))
    from rich import get_console

    from m3amba_zoo.cli.output import MapProgress
    from m3amba_zoo.engine.console import only_warnings
    from m3amba_zoo.inference.predictor import Predictor
    from m3amba_zoo.maps.outputs import GEOTIFF, PICTURE, check_output, output_paths
    from m3amba_zoo.maps.parts import has_parts

    only_warnings()

    rasters = raster_requests(args)
    inputs = [path for request in rasters.values() for path in request.files]
    is_picture = args.out.suffix.lower() in PICTURE
    beside = dict.fromkeys(args.beside)
    if args.probabilities:
        beside["probabilities"] = args.probabilities
    check_output(args.out, (*GEOTIFF, *PICTURE), inputs)
    if is_picture:
        if args.dask:
            raise InputError(f"--dask: {args.out} is a picture; a .tif is expected")
        if beside:
            raise InputError(f"--out: {args.out} is a picture; for {', '.join(beside)} a .tif is expected")
    else:
        output_paths(args.out, beside, inputs)
    predictor = Predictor(args.model)
    options = {
        name: getattr(args, name) for name in ("overlap", "speed", "strict", "grid", "match_bands", "need")
    }
    try:
        with MapProgress(get_console()) as progress:
            if is_picture:
                predictor.predict(rasters, progress=progress, announce=print_line, **options).save(args.out)
                written = [args.out]
            else:
                written = predictor.predict_map(
                    rasters,
                    args.out,
                    beside,
                    args.float16,
                    progress=progress,
                    dask=args.dask,
                    announce=print_line,
                    **options,
                )
    except BaseException as error:
        if (number := stopping.number_of(error)) and has_parts(args.out):
            raise stopping.Stopped(number, own_command()) from None
        raise
    for path in written:
        print_line(f"wrote {path}")
    return 0


def join_negative_numbers(arguments: Sequence[str]) -> list[str]:
    """Write ``--nodata -1e34`` as ``--nodata=-1e34``, because argparse takes ``-1e34`` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if NEGATIVE.fullmatch(argument) and joined and re.fullmatch(r"--\w[\w-]*", joined[-1]):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba predict m3amba-t_terramind --raster s2=s2.tif --raster s1=s1.tif --out map.tif",
            "m3amba predict work_dirs/mine --raster hsi=hsi.tif --raster dem=dem.tif --align --out map.tif "
            "--with probabilities style --speed fast",
        ),
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="the work dir of a training, a folder with config.py and a .safetensors file, or the name of a "
        "published model (m3amba download list)",
    )
    add_raster_options(
        parser, STATEMENTS, "what is not given holds as it was stated in training", required=True
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="MAP",
        help="the map: a cloud-optimised .tif, or a .png with legend, scale bar and north arrow to look at",
    )
    parser.add_argument(
        "--with",
        dest="beside",
        nargs="+",
        default=[],
        metavar="OUTPUT",
        help="write beside the map: probabilities, uncertainty (entropy and margin), style (for QGIS), "
        "preview (a picture with legend), areas (a table per class)",
    )
    parser.add_argument(
        "--probabilities", type=Path, metavar="FILE.tif", help="as --with probabilities, to this file"
    )
    parser.add_argument(
        "--float16",
        action="store_true",
        help="probabilities and uncertainty as float16 shares rather than percent",
    )
    parser.add_argument(
        "--speed",
        choices=("best", "balanced", "fast"),
        default="best",
        help="best: windows overlap by a half, in several views if the model has them; balanced: by a "
        "quarter, one view; fast: not at all, one view",
    )
    parser.add_argument(
        "--dask",
        metavar="local[:N]|ADDRESS",
        help="spread the rows over N processes of this machine (default: one per core), or over the workers "
        "of a Dask cluster that reach the same files",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        help="overlap of neighbouring windows, 0 to below 1, in place of the speed's",
    )
    add_match_bands(parser)
    parser.add_argument(
        "--need",
        nargs="+",
        default=(),
        metavar="MODALITY",
        help="leave pixels empty where one of these modalities is missing, or any of them: all",
    )
    parser.add_quiet()
    parser.add_argument(
        "--strict", action="store_true", help="refuse values that are unlike the training's, do not only warn"
    )
    return parser


def add_match_bands(parser: argparse.ArgumentParser) -> None:
    """Add ``--match-bands``."""
    parser.add_argument(
        "--match-bands",
        action="store_true",
        help="resample spectra of other bands than the model's by wavelength, where both are known",
    )


def add_raster_options(
    parser: argparse.ArgumentParser, statements: Mapping[str, str], otherwise: str, required: bool = False
) -> None:
    """Add ``--raster`` and the options that state what files do not say.

    Args:
        parser: to add to.
        statements: names of the options, attributes of ``RasterRequest``, and their help.
        otherwise: says what holds without them.
        required: whether a raster must be given.
    """
    parser.add_argument(
        "--raster",
        action="append",
        required=required,
        default=None if required else [],
        metavar="MODALITY=FILE",
        help="a raster (GeoTIFF, ENVI, EnMAP, PRISMA, EMIT and what else GDAL opens; FILE:KEY for one array "
        "of a MATLAB, HDF5 or NetCDF file; FILE,FILE,... for files to be stacked); once per modality",
    )
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
        "--raster-crs",
        action="append",
        default=[],
        metavar="[MODALITY=]CRS",
        help="of a raster's coordinates, in place of the file's own, such as EPSG:32632",
    )
    parser.add_argument(
        "--grid", metavar="MODALITY", help="the reference (default: the training's, else the first)"
    )
    stated = parser.add_argument_group(
        "what the files do not say", f"each as MODALITY=VALUE, or as VALUE for all; {otherwise}"
    )
    for name, help in statements.items():
        add_statement(stated, name, help)


def add_statement(parser: argparse._ActionsContainer, name: str, help: str) -> None:
    """Add an option that states something of one modality, or of all, such as ``--bands``."""
    parser.add_argument(f"--{name}", action="append", default=[], metavar="[MODALITY=]VALUE", help=help)


def raster_requests(
    args: argparse.Namespace, statements: Iterable[str] = STATEMENTS
) -> dict[str, RasterRequest]:
    """Return what the options of ``add_raster_options`` ask of each modality's file.

    Raises:
        InputError: if an option is not written as it should be, or is for a modality without a raster.
    """
    rasters: dict[str, RasterRequest] = {}
    for option in args.raster:
        modality, _, path = option.partition("=")
        if not modality or not path:
            raise InputError(f"--raster: '{option}', expected MODALITY=FILE")
        if modality in rasters:
            raise InputError(f"--raster: '{modality}' is given twice ({rasters[modality].path} and {path})")
        rasters[modality] = replace(parse_path(path), where=f"--raster {modality}")
    for name in (*statements, "align", "raster-crs"):
        attribute = name.removeprefix("raster-")
        for modality, value in stated_of(name, getattr(args, name.replace("-", "_")), rasters).items():
            rasters[modality] = replace(rasters[modality], **{attribute: value})
    return rasters


def stated_of(name: str, options: Iterable[str], rasters: Iterable[str]) -> dict[str, Any]:
    """Return what the options of one name state, by modality; the last one holds.

    Args:
        name: of the option, such as ``bands``.
        options: as they were given, ``MODALITY=VALUE``, or ``VALUE`` for all.
        rasters: the modalities.

    Raises:
        InputError: if one is not written as it should be, or is for a modality without a raster.
    """
    known, found = list(rasters), dict[str, Any]()
    for option in options:
        modality, equals, text = option.rpartition("=")
        if equals and modality not in known:
            raise InputError(
                f"--{name}: '{option}' is for '{modality}', but the rasters are {', '.join(known)}"
            )
        found |= dict.fromkeys([modality] if equals else known, _statement(name, text))
    return found


def _statement(name: str, text: str) -> Any:
    """Return the value of an option that states something."""
    if name == "unit":
        return text
    if name == "raster-crs":
        return read_crs("--raster-crs", text)
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
