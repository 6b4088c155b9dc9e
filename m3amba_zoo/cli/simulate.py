"""Write a simulated stand-in for a standard scene: its host's files, full size, official class counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.simulated_files import write_simulated_rasters, write_stand_in
from m3amba_zoo.scenes.source import DATA_ROOT_VARIABLE, data_roots
from m3amba_zoo.scenes.standard_scene import StandardScene


def main(argv: Sequence[str] | None = None) -> int:
    """Write the stand-in and name its files; bad input raises InputError."""
    args = _parser().parse_args(argv)
    source = _standard_scene(args.source)
    root = args.to or data_roots()[0]
    if args.as_rasters:
        write_simulated_rasters(source, args.as_rasters, args.size, args.bands, args.seed, print_line)
        print_line(f"wrote them to {args.as_rasters}")
        return 0
    written = write_stand_in(source, root / source.folder, args.seed, print_line)
    size = sum(file.stat().st_size for file in written)
    print_line(f"wrote {len(written)} files, {size / 2**20:.0f} MiB, to {root / source.folder}")
    print_line(
        f"results on it carry the name simulated_{source.name}"
        + (f"; to use it, set {DATA_ROOT_VARIABLE}={root}" if args.to else "")
    )
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba simulate houston2013 --to data",
            "m3amba simulate augsburg --as-rasters files --size 96 160 --bands 24",
        ),
    )
    parser.add_argument("source", metavar="SOURCE", help=f"one of {', '.join(_standard_scenes())}")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="data root; the files go to its folder of the source's name "
        f"(default: ${DATA_ROOT_VARIABLE}, else data)",
    )
    parser.add_argument(
        "--as-rasters",
        type=Path,
        metavar="DIR",
        help="write plain GeoTIFFs with polygons and a label raster to this new folder instead",
    )
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("ROWS", "COLUMNS"), help="with --as-rasters: of the scene"
    )
    parser.add_argument("--bands", type=int, help="with --as-rasters: of the hyperspectral image")
    parser.add_argument("--seed", type=int, default=0, help="of all random draws (default: 0)")
    parser.add_quiet()
    return parser


def _standard_scenes() -> list[str]:
    return [name for name in SOURCES.names() if issubclass(SOURCES.module_dict[name], StandardScene)]


def _standard_scene(name: str) -> StandardScene:
    SOURCES.check(name)
    if name not in _standard_scenes():
        raise InputError(
            f"source '{name}' needs no stand-in; expected one of {', '.join(_standard_scenes())}"
        )
    return SOURCES.build({"type": name})
