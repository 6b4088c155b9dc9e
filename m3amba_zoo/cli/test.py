"""Test a checkpoint with its config, or a trained model on another scene; write scores and maps."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.predict import STATEMENTS, add_match_bands, add_statement
from m3amba_zoo.cli.running import CONFIG_HELP, add_run_options
from m3amba_zoo.errors import InputError

RENAME_NOW = "; --renamed OLD=NEW says that a class has a new name alone"

if TYPE_CHECKING:
    from mmengine.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Test and print the files written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    if args.scene is not None:
        _test_on_scene(args)
        return 0
    for option, given in {"--bands": args.bands, "--match-bands": args.match_bands}.items():
        if given:
            raise InputError(f"{option}: is for another scene's rasters, expected with --scene")
    if args.checkpoint is None:
        raise InputError(
            f"CHECKPOINT is missing; expected one for {args.config}, or --scene for a trained model; a "
            "classical classifier has none, 'm3amba train' scores it"
        )
    from m3amba_zoo import stopping
    from m3amba_zoo.cli.running import (
        build_runner,
        config_of,
        files_of,
        print_header,
        print_scores,
        print_written,
        require,
        starting,
    )
    from m3amba_zoo.config.options import set_seed
    from m3amba_zoo.engine.checkpoint import SEEDED_SPLITS, check_weights, read_meta
    from m3amba_zoo.engine.resuming import check_classes, check_tested
    from m3amba_zoo.models.weights import read_checkpoint

    config = config_of(args)
    if config.get("classifier") is not None:
        raise InputError(
            f"{args.config}: a {config.classifier.type} is scored when it is fitted ('m3amba train "
            f"{args.config}'); expected the config of a network, or --scene to score it on another scene"
        )
    require(config, "model", "test_dataloader", "test_cfg", "test_evaluator")
    meta = read_meta(args.checkpoint)
    if meta.get("seed") is not None:
        set_seed(config, meta["seed"], splits=meta[SEEDED_SPLITS])
    started_from = None if config.get("resume") else config.get("load_from")
    config.resume, config.load_from = False, None
    with starting(config):
        if not args.overwrite:
            _require_no_other_results(config, args.checkpoint)
        before = files_of(config.work_dir)
        runner = build_runner(config, ("test_loop",))
        runner._load_from = str(args.checkpoint)
        runner.cfg.load_from = started_from  # the config, and its hash, are those of the training
        check_tested(runner, meta, args.checkpoint)
        check_classes(runner, meta, args.checkpoint, RENAME_NOW, _renamed(args.renamed))
        # MMEngine's own Runner would test weights that do not fit the model
        check_weights(runner, read_checkpoint(args.checkpoint, "meta"), args.checkpoint)
        print_header(runner, f"tests {args.checkpoint}")
        with stopping.whole_steps():
            print_scores(runner.test())
        print_written(runner, before)
    return 0


def _require_no_other_results(config: Config, checkpoint: Path) -> None:
    """Raise InputError if a work dir holds the scores of other weights, which would be replaced."""
    from m3amba_zoo.evaluation.record import METRICS_FILE, read_record
    from m3amba_zoo.system import sha256_of

    file = Path(config.work_dir) / METRICS_FILE
    if not file.exists():
        return
    weights = read_record(file).get("weights")
    tested = weights.get("sha256") if isinstance(weights, dict) else None
    if tested != sha256_of(checkpoint):
        raise InputError(
            f"{file}: has the scores of other weights than {checkpoint}; --overwrite replaces them, another "
            "--work-dir leaves them alone"
        )


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba test m3amba_houston work_dirs/m3amba_houston/epoch_20.pth",
            "m3amba test work_dirs/harbour --scene other/scene.yaml --match-bands",
        ),
    )
    parser.add_argument(
        "config",
        type=Path,
        metavar="CONFIG|MODEL",
        help=f"the config of the training: {CONFIG_HELP}; with --scene a work dir or a published model",
    )
    parser.add_argument(
        "checkpoint", type=Path, nargs="?", metavar="CHECKPOINT", help=".pth, or weights as .safetensors"
    )
    parser.add_argument(
        "--scene",
        type=Path,
        metavar="SCENE.yaml",
        help="score the model on all labelled pixels of this scene instead, and write scene_metrics.json",
    )
    add_statement(parser, "bands", f"with --scene: {STATEMENTS['bands']}")
    add_match_bands(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the scores of other weights that the work dir holds"
    )
    parser.add_argument(
        "--renamed",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="a class that has another name now than in the training; scores and maps take the new one",
    )
    add_run_options(parser)
    return parser


def _renamed(options: Sequence[str]) -> dict[str, str]:
    """Return new names of classes by their old ones.

    Raises:
        InputError: if an option is not written as it should be.
    """
    pairs = [option.partition("=") for option in options]
    if wrong := [option for option, (old, _, new) in zip(options, pairs, strict=True) if not (old and new)]:
        raise InputError(f"--renamed: '{wrong[0]}', expected OLD=NEW")
    return {old.strip(): new.strip() for old, _, new in pairs}


def _test_on_scene(args: argparse.Namespace) -> None:
    """Score a trained model on another scene.

    Raises:
        InputError: if an option has no effect there, or as ``test_on_scene``.
    """
    from m3amba_zoo.cli.other_scene import test_on_scene

    unused = {"--data": args.data, "--cfg-options": args.cfg_options, "--renamed": args.renamed}
    for option, given in unused.items():
        if given:
            raise InputError(f"{option}: a model is scored on another scene as it was trained, leave it out")
    test_on_scene(str(args.config), args.checkpoint, args.scene, args.work_dir, args.bands, args.match_bands)
