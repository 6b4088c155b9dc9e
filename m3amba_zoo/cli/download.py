"""Fetch published models, list and verify them, write a mirror of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3amba_zoo.errors import InputError, close_names

FAILURE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the options say; returns 1 if a card does not verify; bad input raises InputError."""
    args = _parser().parse_args(_plain(sys.argv[1:] if argv is None else argv))
    from m3amba_zoo.hub.model_cards import published_models

    models = published_models()
    if args.list:
        _list(models)
        return 0
    if args.info:
        _info(_known(args.info, models))
        return 0
    if args.verify or args.golden:
        return _verify(models, args.names, args.golden)
    for name in args.names:
        _require_known(name, models, own=not (args.to or args.export))
    if args.export:
        _export(models, args)
        return 0
    if not args.names:
        raise InputError("no model is named; --list lists what is published")
    for name in args.names:
        _print(f"{name}: {_fetch(name, models, args)}")
    return 0


def _fetch(name: str, models: Mapping[str, Any], args: argparse.Namespace) -> Path:
    from m3amba_zoo.hub.download import copy_card
    from m3amba_zoo.hub.model_cards import find_card, find_whole_card

    if name not in models:
        return find_card(name)  # a card of the user's own
    model = models[name]
    folder = find_whole_card(model, args.mirror)
    return copy_card(folder, model, args.to) if args.to else folder


def _plain(argv: Sequence[str]) -> list[str]:
    """Return the arguments with ``--mirror export DIR`` as ``--export DIR``."""
    plain = list(argv)
    for k in range(len(plain) - 1):
        if plain[k : k + 2] == ["--mirror", "export"]:
            plain[k : k + 2] = ["--export"]
            break
    return plain


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Models are looked for in $M3AMBA_WEIGHTS, the checkout, the cache "
        "($M3AMBA_CACHE) and on mirrors; M3AMBA_OFFLINE=1 forbids the network."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="published models")
    parser.add_argument("--to", type=Path, metavar="DIR", help="copy each card to DIR/NAME")
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="http(s)://, file:// or a folder, asked before $M3AMBA_MIRRORS; may be repeated",
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="write the models that are named, or all, as a mirror to serve; also: --mirror export DIR",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list what is published, without the network")
    what.add_argument("--info", metavar="NAME", help="tell all about a model, without the network")
    what.add_argument(
        "--verify", action="store_true", help="compare what is on this machine with the index, in full"
    )
    parser.add_argument(
        "--golden", action="store_true", help="--verify, and rebuild each model to compare its stored logits"
    )
    return parser


def _known(name: str, models: Mapping[str, Any]) -> Any:
    if name not in models:
        hint = close_names(name, models) or "--list lists what is published"
        raise InputError(f"no model is published as '{name}'; {hint}")
    return models[name]


def _require_known(name: str, models: Mapping[str, Any], own: bool) -> None:
    """Raise InputError before anything is fetched if a name is no model's, or its model has no weights."""
    from m3amba_zoo.hub.model_cards import own_cards

    if own and name in own_cards():
        return
    if not _known(name, models).weights:
        raise InputError(f"model '{name}' is published without weights: {models[name].reason}")


def _list(models: Mapping[str, Any]) -> None:
    from rich import get_console
    from rich.filesize import decimal
    from rich.table import Table

    from m3amba_zoo.hub.model_cards import places_of

    table = Table("model", "dataset", "modalities", "OA, %", "weights", "here")
    table.columns[0].no_wrap = True
    for name, model in models.items():
        summary = model.summary
        table.add_row(
            name,
            _text(summary.get("dataset")) + (" (simulated)" if summary.get("simulated") else ""),
            _text(summary.get("modalities")),
            _percent(summary),
            decimal(model.file(model.weights).size) if model.weights else "none",
            ", ".join(place.name for place in places_of(model)) or "-",
        )
    get_console().print(table)


def _info(model: Any) -> None:
    from rich.filesize import decimal

    from m3amba_zoo.hub.download import lacks
    from m3amba_zoo.hub.model_cards import places_of

    _print(model.name)
    for key, value in model.summary.items():
        if value not in (None, []):
            _print(f"  {key}: {_text(value)}")
    _print(f"  weights: {model.weights or f'none: {model.reason}'}")
    _print("  files:")
    for file in model.files:
        _print(f"    {file.sha256}  {decimal(file.size):>9}  {file.path}")
    for place in places_of(model):
        missing = lacks(place.folder, (file.path for file in model.files))
        _print(f"  here: {place.folder}" + (f" (lacks {', '.join(missing)})" if missing else ""))


def _verify(models: Mapping[str, Any], names: Sequence[str], golden: bool) -> int:
    """Check every card that is here, or those named, wherever they are; returns 1 if one fails."""
    from m3amba_zoo.hub.download import verify_card
    from m3amba_zoo.hub.model_cards import check_own_card, own_cards, places_of

    own, failed, checked = own_cards(), False, 0
    for name in names or [*models, *own]:
        folders = [own[name]] if name in own else [place.folder for place in places_of(_known(name, models))]
        if names and not folders:
            _print(f"absent   {name}: is not on this machine")
            failed = True
        checked += len(folders)
        for folder in folders:
            try:
                if name in own:
                    check_own_card(folder)
                else:
                    verify_card(folder, models[name])
                has_weights = name in own or models[name].weights
                note = f"; golden logits within {_golden(folder)}" if golden and has_weights else ""
                _print(f"verified {name}: {folder}{note}")
            except InputError as error:
                _print(f"refused  {name}: {error}")
                failed = True
    if not names and not checked:
        _print("nothing to verify: no published model is on this machine")
    return FAILURE if failed else 0


def _golden(folder: Path) -> str:
    """Rebuild a card that was verified, and return how far its logits are from those stored."""
    from m3amba_zoo.hub.golden import check_golden

    return ", ".join(f"{worst:.1e} ({backend})" for backend, worst in check_golden(folder).items())


def _export(models: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Find every card, in full, before the first is written."""
    from m3amba_zoo.hub.download import export_mirror, require_new_folder
    from m3amba_zoo.hub.model_cards import find_whole_card

    chosen = {name: _known(name, models) for name in args.names or models}
    if not chosen:
        raise InputError("--export: no model is published yet")
    require_new_folder(args.export)
    cards = {name: find_whole_card(model, args.mirror) for name, model in chosen.items()}
    export_mirror(cards, chosen, args.export)
    _print(f"wrote {len(cards)} models to {args.export}; check them there with: sha256sum -c SHA256SUMS")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return " + ".join(map(_text, value))
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _percent(summary: Mapping[str, Any]) -> str:
    """Return the overall accuracy and its spread as the table shows it, "" where the card has none."""
    accuracy = (summary.get("results") or {}).get("oa") or {}
    if not accuracy:
        return ""
    spread = "" if accuracy["std"] is None else f" ± {100 * accuracy['std']:.1f}"  # of one seed there is none
    return f"{100 * accuracy['mean']:.1f}{spread}"


def _print(line: str) -> None:
    from rich import get_console

    get_console().print(line, markup=False, highlight=False, soft_wrap=True)
