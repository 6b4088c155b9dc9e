"""List the configs that come with the package, or write one out to change."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

from m3amba_zoo.config.shipped import baseline_configs, dataset_configs, encoder_configs, leaf_configs
from m3amba_zoo.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """List, show or write configs; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.name is None:
        for option, given in {"--to": args.to, "--data": args.data}.items():
            if given is not None:
                raise InputError(f"{option} {given}: which config? 'm3amba configs' lists their names")
        print(_table("m3amba train NAME", leaf_configs()))
        print(_table("m3amba train NAME --data DATASET, also for m3amba and m3amba-s", baseline_configs()))
        print(_table("m3amba train NAME, on an encoder's features (--data *_galileo)", encoder_configs()))
        print(_table("DATASET, besides a scene.yaml of your own", dataset_configs()))
        return 0
    if args.to is not None:
        _check_output(args.to)
    text = _expanded(args.name, args.data)
    if args.to is None:
        print(text, end="")
        return 0
    from m3amba_zoo.system import whole_file

    with whole_file(args.to) as aside:
        aside.write_text(text, encoding="utf-8")
    print(f"wrote {args.to}; m3amba train {args.to}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a config to show with all that it inherits")
    parser.add_argument("--to", type=Path, metavar="FILE.py", help="write it to this new file instead")
    parser.add_argument("--data", metavar="NAME|FILE", help="the dataset of a recipe, as for m3amba train")
    return parser


def _table(title: str, configs: Mapping[str, Path]) -> str:
    width = max(map(len, configs), default=0)
    lines = [f"  {name:{width}}  {_summary(path)}" for name, path in configs.items()]
    return "\n".join([f"{title}:", *lines, ""])


def _summary(path: Path) -> str:
    """Return the first line of a config's docstring, or of the comment at its start."""
    text = path.read_text(encoding="utf-8")
    found = ast.get_docstring(ast.parse(text)) or text.removeprefix("# ")
    return found.partition("\n")[0]


def _check_output(path: Path) -> None:
    if path.suffix != ".py":
        raise InputError(f"--to {path}: expected a file name that ends in .py")
    if path.exists():
        raise InputError(f"--to {path}: exists already and is not overwritten")


def _expanded(name: str, data: str | None) -> str:
    """Return a config with all that it inherits, as a file that needs no other.

    What follows from source and model is left out, so that changes of the file reach every part.
    """
    from m3amba_zoo.config import read_raw

    config = read_raw(name, data)
    config.pop("experiment_name", None)  # the new file's own name
    of = f"{name} --data {data}" if data else name
    return f'"""Written by m3amba configs {of}."""\n\n{config.pretty_text}'
