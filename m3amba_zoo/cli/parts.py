"""List the parts that configs name by type, such as adapters and sources, of the zoo and of plugins."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import first_line, print_json, print_line
from m3amba_zoo.errors import InputError, close_names

KINDS = (
    "adapters",
    "backbones",
    "necks",
    "heads",
    "models",
    "classifiers",
    "sources",
    "splits",
    "datasets",
    "data_samplers",
    "transforms",
    "metrics",
    "hooks",
    "visbackends",
    "loops",
    "runners",
    "optim_wrappers",
    "optim_wrapper_constructors",
)
OF_MODELS = ("backbones", "necks", "heads")
"""Kinds whose parts are in the registry of models, too."""
WITHIN = {"encoders": "backbones", "losses": "models", "pretreatments": "models"}
"""Where the documentation's words are listed that have no registry of their own."""


def main(argv: Sequence[str] | None = None) -> int:
    """List parts with their origin and the first line of their documentation; bad input raises InputError."""
    args = _parser().parse_args(argv)
    for kind in args.kind:
        if kind not in KINDS:
            hint = close_names(kind, KINDS) or f"expected {', '.join(KINDS)}"
            if kind in WITHIN:
                hint = f"{kind} are listed among the {WITHIN[kind]} ('m3amba parts {WITHIN[kind]}')"
            raise InputError(f"no kind of parts is called '{kind}'; {hint}")
    found = {kind: parts_of(kind) for kind in args.kind or KINDS}
    if args.json:
        print_json(found)
        return 0
    for kind, parts in found.items():
        print_line(f"{kind}:")
        width = max(map(len, parts), default=0)
        for name, part in parts.items():
            print_line(f"  {name:{width}}  {part['summary']} [{part['origin']}]")
    return 0


def parts_of(kind: str) -> dict[str, dict[str, str]]:
    """Return what is known of the parts of a kind, one of ``KINDS``, by name."""
    from m3amba_zoo import registry

    parts: Any = getattr(registry, kind.upper())
    names = parts.names()
    if kind == "models":
        listed = {name for other in OF_MODELS for name in getattr(registry, other.upper()).names()}
        names = [name for name in names if name not in listed]
    owners = packages_distributions()
    return {name: _facts(parts.module_dict[name], owners) for name in names}


def _facts(part: Any, owners: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the first line of a part's documentation, its module, and the package that it came with."""
    package = part.__module__.partition(".")[0]
    distribution = next(iter(owners.get(package, ())), None)
    return {
        "summary": first_line(inspect.getdoc(part) or ""),
        "module": part.__module__,
        "origin": f"{distribution} {version(distribution)}" if distribution else f"module {part.__module__}",
    }


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=("m3amba parts", "m3amba parts adapters necks", "m3amba parts sources --json"),
    )
    parser.add_argument("kind", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser
