"""Make a scene of your own files with a split and a config that trains on them, or a plugin package."""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.predict import STATEMENTS, add_raster_options, join_negative_numbers
from m3amba_zoo.errors import InputError

OF_SCENES = {**STATEMENTS, "unit": "what one unit is, for people, such as 'reflectance x 10000', m or dB"}
NO_SPLIT = "none"
PLUGIN = "plugin"
EXAMPLE_OF_PLUGIN = "m3amba new plugin my-adapters"
EXAMPLE = "m3amba new scene harbour --raster hsi=hsi.tif --raster sar=sar.tif --labels fields.gpkg:class"
SCENE = "--scene"


def main(argv: Sequence[str] | None = None) -> int:
    """Write a scene's folder and say what its files hold, or a plugin; bad input raises InputError."""
    arguments = join_negative_numbers(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [PLUGIN]:
        from m3amba_zoo.cli.new_plugin import make_plugin

        make_plugin(_parser().parse_args(arguments).name)
        return 0
    first, *others = _divided(arguments)
    scene_parser = _scene_parser()
    common, rest = scene_parser.parse_known_args(first)
    scenes: list[tuple[str | None, argparse.Namespace]] = []
    for name, *of_name in others:
        of_scene, more = scene_parser.parse_known_args(of_name, copy.deepcopy(common))
        scenes.append((name, of_scene))
        rest += more
    args = _parser().parse_args(rest)
    args.arguments = arguments
    if others and (common.raster or common.labels):
        raise InputError(
            f"--raster and --labels stand before the first {SCENE}; expected behind a scene's name"
        )
    from m3amba_zoo.cli.new_scene import make_scene

    make_scene(args, scenes or [(None, common)])
    return 0


def _divided(arguments: list[str]) -> list[list[str]]:
    """Return what stands before the first ``--scene``, and each scene's name with what stands behind it."""
    parts: list[list[str]] = [[]]
    for argument in arguments:
        if argument == SCENE:
            parts.append([])
        elif argument.startswith(f"{SCENE}="):
            parts.append([argument.partition("=")[2]])
        else:
            parts[-1].append(argument)
    for part in parts[1:]:
        if not part or part[0].startswith("-"):
            raise InputError(f"{SCENE}: a name is expected behind it, then the scene's --raster and --labels")
    return parts


def _scene_parser() -> CommandParser:
    """Return the parser of what belongs to a single scene."""
    parser = CommandParser(add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--labels",
        metavar="FILE[:ATTRIBUTE]",
        help="a label raster (FILE:KEY in MATLAB), polygons or points (GeoPackage, shapefile, GeoJSON, KML, "
        "FlatGeobuf; FILE:ATTRIBUTE or FILE:LAYER:ATTRIBUTE), or ENVI's regions of interest as text",
    )
    labels = parser.add_argument_group("what the file of labels does not say")
    labels.add_argument("--attribute", help="which attribute holds the classes")
    labels.add_argument("--layer", help="which layer, if the file has several")
    labels.add_argument("--crs", help="of the shapes, in place of the file's own, such as EPSG:32632")
    labels.add_argument("--radius", type=float, metavar="METRES", help="of points (default: one pixel each)")
    labels.add_argument("--touched", action="store_true", help="label all pixels that a polygon touches")
    labels.add_argument("--skip-invalid", action="store_true", help="leave out invalid and empty shapes")
    labels.add_argument(
        "--align-labels",
        action="store_const",
        const="nearest",
        help="take labels from a raster on another grid: of the pixel under each pixel's centre",
    )
    labels.add_argument(
        "--unlabelled",
        nargs="+",
        metavar="VALUE",
        help="values without a class; of a label raster in place of 0, values below it, and 255 in bytes",
    )
    add_raster_options(parser, OF_SCENES, "what is not given is what the file says")
    return parser


def _parser() -> CommandParser:
    from m3amba_zoo.cli.split import add_maker_options

    parser = CommandParser(
        description=__doc__,
        examples=(EXAMPLE, EXAMPLE_OF_PLUGIN),
    )
    commands = parser.add_subparsers(dest="command", required=True)
    plugin = commands.add_parser(
        PLUGIN,
        help="make an installable package with an adapter, its test and a config",
        description="Write NAME/, a package with an adapter of its own, its test and a config that trains "
        "it. Once it is installed, every command finds its parts, and 'm3amba parts' lists them. Nothing is "
        "overwritten.",
        examples=(EXAMPLE_OF_PLUGIN,),
    )
    plugin.add_argument(
        "name", type=Path, metavar="NAME", help="the new folder; its last part names the package"
    )
    plugin.add_quiet()
    scene = commands.add_parser(
        "scene",
        help="make a folder with scene.yaml, split.npz and config.py",
        parents=[_scene_parser()],
        allow_abbrev=False,  # or the scene's options would be taken for options of the whole
        description="Read rasters and labels, say what they hold, and write NAME/scene.yaml, NAME/split.npz "
        "and NAME/config.py for 'm3amba train'. Nothing is overwritten.",
        examples=(EXAMPLE,),
        notes=f"Several scenes: {SCENE} NAME before each scene's --raster and --labels; what stands before "
        "the first one holds for all.",
    )
    scene.add_argument("name", metavar="NAME", help="the new folder; its last part names the scene")
    scene.add_quiet()
    scene.add_argument("--model", default="m3amba", help="the recipe to train, such as m3amba-s, mft or lda")
    training = scene.add_argument_group("what is chosen by the data, unless it is given")
    training.add_argument("--window", type=int, help="side of a training window in pixels")
    training.add_argument("--epochs", type=int)
    training.add_argument("--windows-per-epoch", type=int)
    training.add_argument("--batch-size", type=int, help="windows at once")
    training.add_argument(
        "--untested", nargs="+", default=[], metavar="CLASS", help="classes that may be without test pixels"
    )
    training.add_argument(
        "--split",
        default="blocks",
        metavar="NAME|FILE.npz|none",
        help="blocks (default), by_scene, per_class, a file of 'm3amba split', or none: the scene alone, "
        "to test models on",
    )
    add_maker_options(training)
    return parser
