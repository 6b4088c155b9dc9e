"""Fetch, list and verify published models, or write a mirror of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line, print_table
from m3amba_zoo.errors import InputError, close_names

FAILURE = 1
EXIT_CODES = "exit codes: 0 done, 1 a model failed its verification, 2 bad input (docs/commands.md)"
WIDE = 110
"""Columns of a terminal that has room for data and modalities."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run an action; return 1 if a card fails its verification; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.hub.resolve import published_models

    return args.run(published_models(), args) or 0


def _parser() -> CommandParser:
    parser = CommandParser(
        examples=(
            "m3amba download list --json",
            "m3amba download get m3amba-t_terramind --to models",
            "m3amba download verify --golden",
            "m3amba download export mirror",
        ),
        exit_codes=EXIT_CODES,
        description=f"{__doc__} Models are searched in $M3AMBA_WEIGHTS, the checkout, the cache "
        "($M3AMBA_CACHE) and on mirrors; M3AMBA_OFFLINE=1 forbids the network.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    mirrors = CommandParser(add_help=False)
    mirrors.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="http(s)://, file:// or a folder, searched before $M3AMBA_MIRRORS; may be repeated",
    )
    get = actions.add_parser(
        "get",
        parents=[mirrors],
        help="fetch models that are not on this machine",
        description="Fetch the files of models, verify them and keep them in the cache, or copy them to DIR.",
        examples=("m3amba download get m3amba-t_terramind", "m3amba download get mft_terramind --to models"),
    )
    get.add_quiet()
    get.add_argument("names", nargs="+", metavar="NAME", help="a published model")
    get.add_argument("--to", type=Path, metavar="DIR", help="copy each card to DIR/NAME")
    get.set_defaults(run=_get)
    listing = actions.add_parser(
        "list",
        help="list the published models, without the network",
        description="List the published models: their data, modalities, overall accuracy over the seeds, the "
        "size of their weights, and where on this machine they are.",
        examples=("m3amba download list", "m3amba download list --json"),
    )
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(run=_list)
    info = actions.add_parser(
        "info",
        help="show the details of a model, without the network",
        description="Show what the index says of a model: data, modalities, scores, files, and where it is.",
        examples=("m3amba download info m3amba-t_terramind",),
    )
    info.add_argument("name", metavar="NAME", help="a published model")
    info.add_argument("--json", action="store_true", help="print JSON instead")
    info.set_defaults(run=_info)
    verify = actions.add_parser(
        "verify",
        help="compare every file on this machine with the index",
        description="Compare the size and sha256 of every file of the models on this machine with the index; "
        "--golden also runs them.",
        examples=("m3amba download verify", "m3amba download verify mft_terramind --golden"),
        exit_codes=EXIT_CODES,
    )
    verify.add_argument(
        "names", nargs="*", metavar="NAME", help="models that must be on this machine (default: all that are)"
    )
    verify.add_argument(
        "--golden", action="store_true", help="also rebuild each model and compare its stored logits"
    )
    verify.set_defaults(run=_verify)
    export = actions.add_parser(
        "export",
        parents=[mirrors],
        help="write a mirror of models",
        description="Write all files of models, with their checksums, to a folder that --mirror and "
        "$M3AMBA_MIRRORS take.",
        examples=("m3amba download export mirror", "m3amba download get mft_terramind --mirror mirror"),
    )
    export.add_quiet()
    export.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")
    export.add_argument("names", nargs="*", metavar="NAME", help="models to write (default: all)")
    export.set_defaults(run=_export)
    return parser


def _get(models: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Fetch models, after a check that each name is known and has weights."""
    from m3amba_zoo.hub.resolve import find_card, find_whole_card, own_cards
    from m3amba_zoo.hub.transport import copy_card

    own = {} if args.to else own_cards()
    for name in args.names:
        if name not in own and not _known(name, models).weights:
            raise InputError(f"model '{name}' is published without weights: {models[name].reason}")
    for name in args.names:
        if name in own:
            folder = find_card(name)
        else:
            folder = find_whole_card(models[name], args.mirror)
            folder = copy_card(folder, models[name], args.to) if args.to else folder
        print_line(f"{name}: {folder}")


def _list(models: Mapping[str, Any], args: argparse.Namespace) -> None:
    from rich import get_console
    from rich.filesize import decimal

    from m3amba_zoo.hub.resolve import places_of

    if args.json:
        print_json({name: _facts(model) for name, model in models.items()})
        return
    is_narrow = get_console().is_terminal and get_console().width < WIDE
    rows = [
        (
            name,
            *(() if is_narrow else _trained_on(model.summary)),
            _percent(model.summary),
            decimal(model.file(model.weights).size) if model.weights else "none",
            ", ".join(place.name for place in places_of(model)) or "-",
        )
        for name, model in models.items()
    ]
    trained_on = () if is_narrow else ("dataset", "modalities")
    print_table(("model", *trained_on, "OA, %", "weights", "here"), rows)
    if is_narrow:
        print_line("m3amba download info NAME shows data and modalities, too")


def _trained_on(summary: Mapping[str, Any]) -> tuple[str, str]:
    simulated = " (simulated)" if summary.get("simulated") else ""
    return _text(summary.get("dataset")) + simulated, _text(summary.get("modalities"))


def _facts(model: Any) -> dict[str, Any]:
    """Return what the index says of a model and where it is on this machine, for JSON."""
    from m3amba_zoo.hub.resolve import places_of

    return {
        **model.summary,
        "weights": model.weights or None,
        "without_weights": model.reason or None,
        "files": {file.path: {"size": file.size, "sha256": file.sha256} for file in model.files},
        "here": [str(place.folder) for place in places_of(model)],
    }


def _info(models: Mapping[str, Any], args: argparse.Namespace) -> None:
    from rich.filesize import decimal

    from m3amba_zoo.hub.index import lacks
    from m3amba_zoo.hub.resolve import places_of

    model = _known(args.name, models)
    if args.json:
        print_json({"name": model.name, **_facts(model)})
        return
    print_line(model.name)
    for key, value in model.summary.items():
        if value not in (None, []):
            print_line(f"  {key}: {_text(value)}")
    print_line(f"  weights: {model.weights or f'none: {model.reason}'}")
    print_line("  files:")
    for file in model.files:
        print_line(f"    {file.sha256}  {decimal(file.size):>9}  {file.path}")
    for place in places_of(model):
        missing = lacks(place.folder, (file.path for file in model.files))
        print_line(f"  here: {place.folder}" + (f" (lacks {', '.join(missing)})" if missing else ""))


def _verify(models: Mapping[str, Any], args: argparse.Namespace) -> int:
    """Check the named cards, or all on this machine; return 1 if one fails or a named one is absent."""
    from m3amba_zoo.hub.index import verify_card
    from m3amba_zoo.hub.resolve import check_own_card, own_cards, places_of

    own, failed, checked = own_cards(), False, 0
    for name in args.names or [*models, *own]:
        folders = [own[name]] if name in own else [place.folder for place in places_of(_known(name, models))]
        if args.names and not folders:
            print_line(f"absent   {name}: is not on this machine")
            failed = True
        checked += len(folders)
        for folder in folders:
            try:
                if name in own:
                    check_own_card(folder)
                else:
                    verify_card(folder, models[name])
                has_weights = name in own or models[name].weights
                golden = args.golden and has_weights
                note = f"; golden logits within {_golden(folder, models.get(name))}" if golden else ""
                print_line(f"verified {name}: {folder}{note}")
            except InputError as error:
                print_line(f"refused  {name}: {error}")
                failed = True
    if not args.names and not checked:
        print_line("nothing to verify: no published model is on this machine")
    return FAILURE if failed else 0


def _golden(folder: Path, published: Any) -> str:
    """Rebuild a verified card and return the largest difference of its logits from the stored ones."""
    from m3amba_zoo.hub.golden import check_golden

    found = check_golden(folder, published=published)
    return ", ".join(f"{worst:.1e} ({backend})" for backend, worst in found.items())


def _export(models: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Write a mirror, after all cards were found complete."""
    from m3amba_zoo.hub.resolve import find_whole_card
    from m3amba_zoo.hub.transport import export_mirror, is_mirror, require_new_folder

    chosen = {name: _known(name, models) for name in args.names or models}
    if not chosen:
        raise InputError("no model is published yet: there is nothing to export")
    if not is_mirror(args.folder, chosen):
        require_new_folder(args.folder)  # before anything is fetched
    cards = {name: find_whole_card(model, args.mirror) for name, model in chosen.items()}
    export_mirror(cards, chosen, args.folder)
    print_line(f"wrote {len(cards)} models to {args.folder}; check them there with: sha256sum -c SHA256SUMS")


def _known(name: str, models: Mapping[str, Any]) -> Any:
    if name not in models:
        hint = close_names(name, models) or "m3amba download list shows what is published"
        raise InputError(f"no model is published as '{name}'; {hint}")
    return models[name]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return " + ".join(map(_text, value))
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _percent(summary: Mapping[str, Any]) -> str:
    """Return the mean overall accuracy ± standard deviation in percent, "" if the card has no results."""
    accuracy = (summary.get("results") or {}).get("oa") or {}
    if not accuracy:
        return ""
    spread = "" if accuracy["std"] is None else f" ± {100 * accuracy['std']:.1f}"  # None with one seed
    return f"{100 * accuracy['mean']:.1f}{spread}"
