"""Make a scene of your own files with a split and a config that trains on them, or a plugin package."""

from __future__ import annotations

import argparse
import contextlib
import copy
import keyword
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from string import Template

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.cli.predict import STATEMENTS, add_raster_options, join_negative_numbers
from m3amba_zoo.errors import InputError
from m3amba_zoo.system import whole_folder

OF_SCENES = {**STATEMENTS, "unit": "what one unit is, for people, such as 'reflectance x 10000', m or dB"}
NO_SPLIT = "none"
PLUGIN = "plugin"
EXAMPLE_OF_PLUGIN = "m3amba new plugin my-adapters"
EXAMPLE = "m3amba new scene harbour --raster hsi=hsi.tif --raster sar=sar.tif --labels fields.gpkg:class"
SCENE = "--scene"
PACKAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
LONGEST_NAME = 64
BESIDE_PACKAGE = ("tests", "build", "dist")
"""Folders that stand, or are made, beside the package's own."""
PLUGIN_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$name"
version = "0.1.0"
description = "An adapter for m3amba_zoo"
requires-python = ">=3.10"
dependencies = ["m3amba_zoo"]

[project.entry-points."m3amba_zoo.plugins"]
$name = "$package"

[tool.setuptools]
packages = ["$package"]
""",
    "README.md": """\
# $name

`$adapter` turns one modality's bands into tokens for M3amba.

```bash
pip install -e .
m3amba parts adapters                # lists $adapter
m3amba train ${package}_demo.py      # on a simulated scene
python -m pytest                     # the tests
```

`${package}_demo.py` shows how a config names it. Other parts are registered in the same way, by `NECKS`,
`HEADS`, `SOURCES`, `METRICS`, ... of `m3amba_zoo.registry`.
""",
    "$package/__init__.py": """\
\"\"\"Parts for m3amba_zoo; importing registers them.\"\"\"

from $package.adapters import $adapter

__all__ = ["$adapter"]
""",
    "$package/adapters.py": """\
\"\"\"From a modality's bands to tokens.\"\"\"

from torch import Tensor, nn

from m3amba_zoo.models import TokenAdapter
from m3amba_zoo.registry import ADAPTERS


@ADAPTERS.register_module()
class $adapter(TokenAdapter):
    \"\"\"Convolves along the bands of each pixel before it projects them.

    Args:
        in_channels: C, the bands after pretreatment.
        embed_dim: E, the length of a token.
        window: S, the side of a window in pixels.
        kernels: how many convolutions there are, each over 7 bands.
    \"\"\"

    def __init__(self, in_channels: int, embed_dim: int, window: int, kernels: int = 4) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.bands = nn.Conv3d(1, kernels, (7, 1, 1), padding=(3, 0, 0))
        self.project = nn.Linear(kernels * in_channels, embed_dim)

    def tokens(self, x_BCSS: Tensor) -> Tensor:
        \"\"\"Return the tokens ``(B, S, S, E)`` of windows ``(B, C, S, S)``.\"\"\"
        features = self.bands(x_BCSS[:, None]).relu().flatten(1, 2)
        return self.project(features.permute(0, 2, 3, 1))
""",
    "${package}_demo.py": """\
\"\"\"M3amba with $adapter, on the simulated scene of m3amba_demo.\"\"\"

_base_ = "m3amba_zoo::m3amba_demo"  # or any other that 'm3amba configs' lists
model = dict(adapters=dict(hsi=dict(type="$adapter", kernels=4)))
""",
    "tests/test_adapter.py": """\
\"\"\"The adapter, built from a config as a training builds it.\"\"\"

import torch

from m3amba_zoo.registry import ADAPTERS


def test_windows_become_tokens_and_every_parameter_learns():
    config = {"type": "$adapter", "in_channels": 9, "embed_dim": 16, "window": 8}
    adapter = ADAPTERS.build(config)
    tokens = adapter.tokens(torch.randn(2, 9, 8, 8))
    assert tokens.shape == (2, 8, 8, 16)
    tokens.square().sum().backward()
    assert adapter.project.weight.grad.abs().sum() > 0
    assert adapter.bands.weight.grad.abs().sum() > 0
""",
}
"""The files by their paths; ``$name``, ``$package`` and ``$adapter`` are filled in."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write a scene's folder and say what its files hold, or a plugin; bad input raises InputError."""
    arguments = join_negative_numbers(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [PLUGIN]:
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


def make_plugin(folder: Path) -> None:
    """Write a package into a new folder, whose last part names it.

    Raises:
        InputError: if the name is no package's, a module, a package or an adapter has it already, or the
            folder exists or cannot be written.
    """
    name = folder.name
    package = re.sub("[-_]+", "_", name).lower()
    if not PACKAGE_NAME.fullmatch(name) or keyword.iskeyword(package) or len(name) > LONGEST_NAME:
        raise InputError(
            f"{name}: a package's name is expected, of at most {LONGEST_NAME} letters, digits and '-', "
            "such as my-adapters, and no word of Python's own"
        )
    if find_spec(package) is not None or package in BESIDE_PACKAGE:
        raise InputError(f"{name}: there is a module '{package}' already; expected another name")
    with contextlib.suppress(PackageNotFoundError):
        installed = distribution(name)
        raise InputError(
            f"{name}: would replace the installed package {installed.name} {installed.version}; expected "
            "another name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already and is not overwritten")
    from m3amba_zoo.registry import ADAPTERS

    adapter = "".join(part[0].upper() + part[1:] for part in package.split("_")).removesuffix("Adapters")
    words = {"name": name, "package": package, "adapter": f"{adapter.removesuffix('Adapter')}Adapter"}
    if words["adapter"] in ADAPTERS.names():
        raise InputError(f"{name}: there is an adapter '{words['adapter']}' already; expected another name")
    with whole_folder(folder) as aside:
        for path, text in PLUGIN_FILES.items():
            file = aside / Template(path).substitute(words)
            file.parent.mkdir(exist_ok=True)
            file.write_text(Template(text).substitute(words), encoding="utf-8")
    shown = shlex.quote(str(folder))
    print_line(f"wrote {', '.join(Template(path).substitute(words) for path in PLUGIN_FILES)} to {folder}")
    print_line(f"next: pip install -e {shown}")
    print_line(f"then: m3amba train {shown}/{package}_demo.py")
