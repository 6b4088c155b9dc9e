"""List the configs that come with the package, or write one out to change."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import check_new_file, first_line, print_json, print_line
from m3amba_zoo.config.shipped import baseline_configs, dataset_configs, encoder_configs, leaf_configs
from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """List, show or write configs; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.name is None:
        for option, given in {"--to": args.to, "--data": args.data}.items():
            if given is not None:
                raise InputError(f"{option} {given}: which config? 'm3amba configs' lists their names")
        _list(args.json)
        return 0
    if args.to is not None:
        _check_output(args.to, args.overwrite)
    config = _expanded(args.name, args.data)
    if args.to is None and args.json:
        print_json(config.to_dict())
        return 0
    of = f"{args.name} --data {args.data}" if args.data else args.name
    text = f'"""Written by m3amba configs {of}."""\n\n{config.pretty_text}'
    if args.to is None:
        print(text, end="")
        return 0
    from m3amba_zoo.system import whole_file

    with whole_file(args.to) as aside:
        aside.write_text(text, encoding="utf-8")
    print_line(f"wrote {args.to}; m3amba train {args.to}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba configs",
            "m3amba configs m3amba_houston --to my.py",
            "m3amba configs mft --data terramind",
            "m3amba configs --json",
        ),
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a config to show with all that it inherits")
    parser.add_argument("--to", type=Path, metavar="FILE.py", help="write it to this file instead")
    parser.add_overwrite()
    parser.add_quiet()
    parser.add_argument("--data", metavar="NAME|FILE", help="the dataset of a recipe, as for m3amba train")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser


def _list(as_json: bool) -> None:
    """Print every config by its kind, with its summary."""
    kinds = {
        "configs": ("m3amba train NAME", leaf_configs()),
        "baselines": ("m3amba train NAME --data DATASET, also for m3amba and m3amba-s", baseline_configs()),
        "encoders": ("m3amba train NAME, on an encoder's features (--data *_galileo)", encoder_configs()),
        "datasets": ("DATASET, besides a scene.yaml of your own", dataset_configs()),
    }
    if as_json:
        print_json(
            {kind: {name: _summary(path) for name, path in of.items()} for kind, (_, of) in kinds.items()}
        )
        return
    for title, configs in kinds.values():
        width = max(map(len, configs), default=0)
        print_line(f"{title}:")
        for name, path in configs.items():
            print_line(f"  {name:{width}}  {_summary(path)}")
        print_line("")


def _summary(path: Path) -> str:
    """Return the first line of a config's docstring, or of the comment at its start."""
    text = path.read_text(encoding="utf-8")
    found = ast.get_docstring(ast.parse(text)) or text.removeprefix("# ")
    return first_line(found)


def _check_output(path: Path, overwrite: bool) -> None:
    if path.suffix != ".py":
        raise InputError(f"--to {path}: expected a file name that ends in .py")
    check_new_file("--to", path, overwrite)


def _expanded(name: str, data: str | None) -> Config:
    """Return a config with all that it inherits, which needs no other file.

    What follows from source and model is left out, so that changes of the file reach every part.
    """
    from m3amba_zoo.config import read_raw

    config = read_raw(name, data)
    config.pop("experiment_name", None)  # the new file's own name
    return config
