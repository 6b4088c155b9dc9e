"""Draw a figure of maps for a paper: false colour, reference, predictions, errors of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import RUN_HELP, CommandParser
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.errors import InputError, close_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from m3amba_zoo.cli.given_runs import GivenRun
    from m3amba_zoo.scenes.scene import Scene
    from m3amba_zoo.splits import SceneData

MOST_SCENES = 4
"""So many are drawn where none are named."""
WIDTH = 181.0
SMALLEST, LARGEST = 40.0, 1000.0


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the figure and print what a caption needs; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if not SMALLEST <= args.width <= LARGEST:
        raise InputError(f"--width: {args.width:g} mm, expected {SMALLEST:g} to {LARGEST:g}")
    if args.across is not None and args.across < 1:
        raise InputError(f"--across: {args.across}, expected 1 or more panels")
    from m3amba_zoo.cli.given_runs import read_given_runs
    from m3amba_zoo.maps.outputs import check_output
    from m3amba_zoo.visualization.paper import SUFFIXES, choose_panels, draw_figure, save_figure

    check_output(args.out, SUFFIXES)
    runs = read_given_runs(args.runs)
    names = _titles_of(runs)
    data = runs[0].load_data()
    scenes = _chosen_scenes(data, args.scenes)
    maps = {name: _class_maps(run, scenes, data) for name, run in zip(names, runs, strict=True)}
    chosen = choose_panels(scenes, data.split, maps, args.columns, data.simulated)
    rows = chosen.rows
    if args.titles:
        count = len(rows[0].panels)
        if len(args.titles) != count:
            raise InputError(f"--titles: {len(args.titles)} are given, expected {count}, one for each panel")
        rows = [
            row._replace(panels=[p._replace(title=t) for p, t in zip(row.panels, args.titles, strict=True)])
            for row in rows
        ]
    figure = draw_figure(rows, chosen.legend, args.width, args.across, args.coordinates)
    save_figure(figure, str(args.out))
    wide, high = (25.4 * side for side in figure.get_size_inches())
    print_line(f"{data.name}, split {data.split.name}; {'; '.join(chosen.shows)}")
    for name, run in zip(names, runs, strict=True):
        print_line(f"{name}: OA {100 * run.record['oa']:.2f} % (seed {run.seed})")
    for row in rows:
        if row.place.transform is None:
            print_line(
                f"no scale bar and no north arrow: {row.label or 'the scene'} has no place on the earth"
            )
            break
    print_line(f"wrote {args.out} ({wide:.0f} x {high:.0f} mm)")
    return 0


def _titles_of(runs: Sequence[GivenRun]) -> list[str]:
    """Return a title for each run: its name, with the seed where two have one name."""
    names = [run.name for run in runs]
    titles = [run.name if names.count(run.name) == 1 else f"{run.name}, seed {run.seed}" for run in runs]
    for title, run in zip(titles, runs, strict=True):
        if titles.count(title) > 1:
            raise InputError(f"{run.given}: a second run is called '{title}'; NAME=RUN tells them apart")
    return titles


def _chosen_scenes(data: SceneData, names: Sequence[str]) -> list[Scene]:
    """Return the scenes of these names, or the first with test pixels.

    Raises:
        InputError: if there is no scene of a name.
    """
    known = {scene.name: scene for scene in data.scenes}
    for name in names:
        if name not in known:
            few = ", ".join(list(known)[:10]) + (", ..." if len(known) > 10 else "")
            raise InputError(f"--scenes: no scene '{name}'; {close_names(name, known) or f'there are {few}'}")
    if names:
        return [known[name] for name in names]
    tested = [scene for scene in data.scenes if data.split.masks[scene.name]["test"].any()]
    if len(tested) > MOST_SCENES:
        print_line(f"{MOST_SCENES} of {len(tested)} test scenes are drawn; --scenes NAME... names others")
    return tested[:MOST_SCENES]


def _class_maps(run: GivenRun, scenes: Sequence[Scene], data: SceneData) -> dict[str, NDArray[np.uint8]]:
    """Read a run's class maps of scenes; those of a card, which keeps none, are predicted.

    Raises:
        InputError: if a map is absent, or of another size than its scene; or as ``_predicted``.
    """
    from m3amba_zoo.maps.geotiff import read_class_map
    from m3amba_zoo.visualization.maps import file_names

    folder = run.folder / "maps"
    if not folder.is_dir():
        print_line(f"{run.given}: has no maps/, so that its weights predict {len(scenes)} scenes now")
        return _predicted(run, scenes)
    files = file_names([scene.name for scene in data.scenes])
    found = {}
    for scene in scenes:
        path = folder / f"{files[scene.name]}.tif"
        if not path.is_file():
            raise InputError(f"{run.given}: has no map of the scene '{scene.name}' ({path})")
        found[scene.name] = read_class_map(path)
        if found[scene.name].shape != scene.shape:
            size = " x ".join(map(str, found[scene.name].shape))
            raise InputError(f"{path}: {size} pixels, but the scene has {' x '.join(map(str, scene.shape))}")
    return found


def _predicted(run: GivenRun, scenes: Sequence[Scene]) -> dict[str, NDArray[np.uint8]]:
    """Predict scenes with a run's weights.

    Raises:
        InputError: if there are no weights, or they do not fit the scenes' rasters.
    """
    from m3amba_zoo.inference.predictor import Predictor

    predictor = Predictor(run.given)
    return {
        scene.name: predictor.predict({m: scene.rasters[m] for m in predictor.in_channels}).class_map
        for scene in scenes
    }


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba figure work_dirs/m3amba_idtrees --out fig.pdf",
            "m3amba figure M3amba=work_dirs/m3amba_idtrees LDA=work_dirs/lda-idtrees --out fig.pdf "
            "--columns false-colour reference prediction",
        ),
    )
    parser.add_argument("runs", nargs="+", metavar="[NAME=]RUN", help=RUN_HELP.partition(", and runs")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .pdf, .svg or .png")
    parser.add_argument(
        "--columns",
        nargs="+",
        default=["false-colour", "reference", "prediction", "errors"],
        metavar="COLUMN",
        help="panels: false-colour, reference, train, test, prediction, errors, or a modality such as lidar; "
        "prediction and errors are one panel for each run (default: %(default)s)",
    )
    parser.add_argument(
        "--scenes",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"scenes to draw, one below the other (default: the first {MOST_SCENES} with test pixels)",
    )
    parser.add_argument("--titles", nargs="+", metavar="TITLE", help="of the panels, in place of their names")
    parser.add_argument(
        "--width",
        type=float,
        default=WIDTH,
        metavar="MM",
        help="of the figure in mm (default: %(default)g, two columns; one column has about 88)",
    )
    parser.add_argument("--across", type=int, metavar="N", help="panels side by side (default: what fits)")
    parser.add_argument(
        "--coordinates", action="store_true", help="map coordinates at the edges of georeferenced scenes"
    )
    parser.add_quiet()
    return parser
