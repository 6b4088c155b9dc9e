"""Show which encoder a config or an encoder's name stands for, with its weights, or list the encoders."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line
from m3amba_zoo.errors import InputError, close_names

if TYPE_CHECKING:
    from m3amba_zoo.models import Encoder


def main(argv: Sequence[str] | None = None) -> int:
    """List the encoders, or build one and print what it is; bad input and absent weights raise InputError."""
    args = _parser().parse_args(argv)
    if args.name is None:
        for option, given in {"--weights": args.weights, "--cfg-options": args.cfg_options}.items():
            if given:
                raise InputError(f"{option}: of which encoder? 'm3amba encoder' lists their names")
        _print_all(args.json)
        return 0
    encoder = _encoder_of(args)
    facts = _facts(encoder)
    if args.json:
        print_json({"type": type(encoder).__name__, "description": encoder.description, **facts})
        return 0
    width = max(map(len, facts))
    print_line(f"{type(encoder).__name__}: {encoder.description}")
    for name, value in facts.items():
        print_line(f"  {name:{width}}  {value}")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        description=f"{__doc__} Weights are searched, fetched and read as a training would; absent ones end "
        "in exit code 2 and the command that fetches them. docs/encoders.md has more.",
        examples=(
            "m3amba encoder",
            "m3amba encoder m3amba-b_houston",
            "m3amba encoder ClipImageEncoder --weights remoteclip.pt --cfg-options name=ViT-L-14 --json",
        ),
    )
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="an encoder, such as ClipImageEncoder, or a config with one, such as m3amba-b_houston "
        "(default: list the encoders)",
    )
    parser.add_argument("--weights", metavar="FILE|NAME", help="its weights, as in a config")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change other entries of its config, for example name=ViT-L-14",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser


def _print_all(as_json: bool) -> None:
    encoders = {name: (kind.__doc__ or "").partition(".")[0] for name, kind in _encoders().items()}
    if as_json:
        print_json(encoders)
        return
    width = max(map(len, encoders))
    print_line("m3amba encoder NAME, or type= of a config's model.encoder:")
    for name, summary in encoders.items():
        print_line(f"  {name:{width}}  {summary}")


def _encoders() -> dict[str, type[Encoder]]:
    from m3amba_zoo.models import Encoder
    from m3amba_zoo.registry import MODELS

    found = {name: MODELS.get(name) for name in MODELS.names()}
    return {
        name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, Encoder)
    }


def _encoder_of(args: argparse.Namespace) -> Encoder:
    """Build the encoder that the options name.

    Raises:
        InputError: if there is none, an option does not fit it, or its weights cannot be found or read.
    """
    from mmengine.config import Config
    from mmengine.logging import MMLogger

    from m3amba_zoo.config.options import apply_options
    from m3amba_zoo.registry import BACKBONES

    part = {"type": args.name} if args.name in _encoders() else _configured(args.name)
    config = Config({"model": {"encoder": part}})
    apply_options(config, [f"model.encoder.{option}" for option in args.cfg_options])
    if args.weights is not None:
        config.model.encoder.weights = args.weights
    log = MMLogger.get_current_instance()
    level = log.level
    log.setLevel(logging.WARNING)  # what an encoder logs is printed below
    try:
        return BACKBONES.build(config.model.encoder)
    except TypeError as error:  # of its constructor
        raise InputError(f"{args.name}: {error}") from error
    finally:
        log.setLevel(level)


def _configured(name: str) -> dict[str, Any]:
    from m3amba_zoo.config import read_raw
    from m3amba_zoo.config.shipped import find_config

    try:
        path = find_config(name)
    except InputError as error:
        hint = close_names(name, _encoders()) or f"encoders are {', '.join(_encoders())}"
        raise InputError(f"{name}: neither an encoder nor a config; {hint}") from error
    config = read_raw(path)
    part = (config.get("model") or {}).get("encoder") or (config.get("source") or {}).get("encoder")
    if not part:
        raise InputError(f"{name}: this config has no encoder (model.encoder, source.encoder)")
    return part


def _facts(encoder: Encoder) -> dict[str, str]:
    needs = encoder.needs
    bands = ", ".join(
        band.name
        + (f" ({band.wavelength:g} nm)" if band.wavelength and not needs.pseudo_rgb else "")
        + (f" in {band.unit}" if band.unit else "")
        + (" if there is" if band.optional else "")
        for band in needs.bands
    )
    also = [name for name, read in (("month", needs.month), ("metres per pixel", needs.metres)) if read]
    side = encoder.image_size
    parameters = sum(value.numel() for value in encoder.network.parameters())
    return {
        "weights": str(encoder.weights_file) if encoder.weights_file else "of no file",
        "fingerprint": bytes(encoder.fingerprint.tolist()).hex(),
        "licence": encoder.licence or "not known; ask its publisher",
        "takes": (f"{side} x {side} pixels" if side else "windows of any size")
        + f": {bands}"
        + (" of any three images" if needs.pseudo_rgb else ""),
        "reads": ", ".join(also) or "no month, no metres per pixel",
        "gives": f"features of length {encoder.feature_dim}, one a window or one a patch",
        "parameters": f"{parameters / 1e6:.1f} M, frozen",
    }
