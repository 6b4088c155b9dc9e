"""Train a model or fit a classical classifier from a config, then test it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.running import CONFIG_HELP, add_run_options
from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from mmengine.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Train, test and print the files written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo import stopping
    from m3amba_zoo.cli.command_parser import resuming_command
    from m3amba_zoo.cli.running import (
        build_runner,
        config_of,
        files_of,
        print_header,
        print_on_main,
        print_scores,
        print_written,
        require,
        set_amp,
        starting,
    )
    from m3amba_zoo.config.validation import add_early_stop, add_validation
    from m3amba_zoo.engine.any_runner import has_trained
    from m3amba_zoo.engine.checkpoint import (
        SEEDED_SPLITS,
        SafeCheckpointHook,
        latest_checkpoint,
        load_final_weights,
    )
    from m3amba_zoo.engine.early_stop import EarlyStopHook
    from m3amba_zoo.engine.trackers import add_trackers, commands_that_show
    from m3amba_zoo.transfer import InitFromHook

    config = config_of(args, args.seed)
    classical = config.get("classifier") is not None
    if not classical:
        require(config, "model", "train_dataloader", "train_cfg", "optim_wrapper")
    if args.overwrite and (args.resume or config.get("resume")):
        raise InputError("--overwrite and --resume are both given, expected one of them")
    if args.extend and not args.resume and not classical:
        raise InputError("--extend needs --resume, which says what is to be extended")
    _set_start(config, args)
    runner = None
    with starting(config, started=lambda: runner is not None and has_trained(runner)):
        _require_same_config(config)
        if not (args.resume or config.get("resume") or args.overwrite):
            _require_no_results(config)
        if classical:
            _fit(config, args)
            return 0
        if args.amp:
            set_amp(config)
        if args.validate or args.early_stop:
            add_validation(config, args.validate)
        if args.early_stop:
            add_early_stop(config, args.early_stop)
        shown = config.get("visualizer")
        add_trackers(config, args.log, Path(config.work_dir).name)
        path = _find_resumed(config, args.resume)
        note = _set_resume(config, path, args) if args.resume else None
        test = not args.no_test and config.get("test_dataloader") is not None
        before = files_of(config.work_dir)
        # a resumed run has weights already
        start = None
        if config.get("init_from") and path is None and not config.get("resume"):
            start = InitFromHook.from_config(config.init_from)
        loops = ("train_loop", "val_loop", *(("test_loop",) if test else ()))
        runner = build_runner(config, loops, path)
        # checkpoints keep this; a checkpoint that is resumed brings its own value
        runner.message_hub.update_info(SEEDED_SPLITS, args.seed is not None)
        if start is not None:
            runner.register_hook(start)
        # what this call resumes and shows is no part of the config, which is written when training starts
        runner.cfg.resume = False
        runner.cfg.load_from = None if config.get("resume") else config.get("load_from")
        if args.log:
            runner.cfg.visualizer = shown
        print_header(runner, note)
        for command in commands_that_show(args.log, config.work_dir):
            print_on_main(f"curves: {command}")
        safe = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
        for hook in safe:
            hook.extend, hook.overwrite = args.extend, args.overwrite
        if not safe:
            runner.logger.warning(
                "checkpoints will hold pickled objects, which 'test' and '--resume' refuse; set "
                "default_hooks.checkpoint.type='SafeCheckpointHook' to avoid them"
            )
        try:
            with stopping.whole_steps():
                runner.train()
                stopping.check()
                for hook in runner.hooks:
                    if isinstance(hook, EarlyStopHook) and hook.said:
                        print_on_main(hook.said)
                if test:
                    load_final_weights(runner)
                    print_scores(runner.test())
        except BaseException as error:
            number = stopping.number_of(error)
            if number and safe and latest_checkpoint(config.work_dir):
                raise stopping.Stopped(number, resuming_command()) from None
            raise
        print_written(runner, before)
    return 0


def _fit(config: Config, args: argparse.Namespace) -> None:
    """Fit a classical classifier.

    Raises:
        InputError: if an option is given that is for networks only, or as ``run_classifier``.
    """
    from m3amba_zoo.cli.classifier_run import run_classifier

    file = args.resume not in (None, "auto")
    refused = {"--amp": args.amp, "--no-test": args.no_test, "--resume FILE": file, "--extend": args.extend}
    for option, given in refused.items():
        if given:
            raise InputError(f"{option}: {config.filename} has a classical classifier, leave it out")
    for option, given in {
        "--log": args.log,
        "--validate": args.validate,
        "--early-stop": args.early_stop,
    }.items():
        if given:
            raise InputError(
                f"{option}: {config.filename} has a classical classifier, which has no epochs; leave it out"
            )
    run_classifier(config)


def _require_no_results(config: Config) -> None:
    """Raise InputError if a work dir holds a training, finished or not, which a new one would replace."""
    from m3amba_zoo.evaluation.record import METRICS_FILE
    from m3amba_zoo.models.weights import LAST_CHECKPOINT

    work_dir = Path(config.work_dir)
    held = {METRICS_FILE: "the results of a training", LAST_CHECKPOINT: "the checkpoints of a training"}
    for name, what in held.items():
        if (work_dir / name).exists():
            raise InputError(
                f"{work_dir}: holds {what} ({name}); --resume goes on with it, --overwrite replaces it, "
                "another --work-dir leaves it alone"
            )


def _require_same_config(config: Config) -> None:
    """Raise InputError if a work dir holds the run of another config, whose results would be lost.

    Configs of users' own scenes have one name (``m3amba new scene``): there the scene's file decides.
    """
    from m3amba_zoo.config import read_raw
    from m3amba_zoo.system import same_file

    work_dir, name = Path(config.work_dir), Path(config.filename).name
    others = [path.name for path in work_dir.glob("*.py") if path.name != name]
    if others:
        raise InputError(f"{work_dir}: holds the run of {others[0]}; give another --work-dir")
    source = config.get("source") or {}
    if source.get("type") == "manifest" and (work_dir / name).is_file():
        before = (read_raw(work_dir / name).get("source") or {}).get("path")
        if before and Path(before).is_file() and not same_file(before, source["path"]):
            raise InputError(f"{work_dir}: holds the run of {before}; give another --work-dir")


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba train m3amba_demo",
            "m3amba train m3amba_houston --seed 1 --work-dir work_dirs/houston_seed1",
            "m3amba train m3amba_houston --resume",
            "m3amba train m3amba_terramind --early-stop 5 --log tensorboard",
            "m3amba train mft --data harbour --cfg-options train_cfg.max_epochs=5",
        ),
    )
    parser.add_argument("config", type=Path, metavar="CONFIG", help=CONFIG_HELP)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from a checkpoint; without CHECKPOINT from the newest one in the work dir",
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="with --resume, after a change of the config: the schedule starts anew over the epochs that are "
        "left, and metrics.json says so",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the training that the work dir holds by a new one"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of training and of validation pixels")
    parser.add_argument(
        "--amp", action="store_true", help="mixed precision: float16 on CUDA, bfloat16 on a CPU"
    )
    parser.add_argument(
        "--init-from",
        metavar="NAME_OR_PATH",
        help="start from the weights of a published model, a card's folder, a work dir or a weights file",
    )
    parser.add_argument(
        "--init-config", metavar="CONFIG", help="config of the weights file, if not beside it"
    )
    parser.add_argument(
        "--fresh",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="parameters that --init-from leaves at their random start, such as 'adapters.hsi.*'",
    )
    parser.add_argument(
        "--freeze", nargs="+", default=[], metavar="PATTERN", help="parameters not to train, such as 'neck.*'"
    )
    parser.add_argument(
        "--validate",
        nargs="?",
        const=1,
        type=_epochs,
        metavar="N",
        help="score the validation pixels after every N epochs (without N, every one); they are in the log "
        "and in report.html, test pixels stay unread",
    )
    parser.add_argument(
        "--early-stop",
        type=_epochs,
        metavar="N",
        help="stop once OA on validation pixels has not been better for N epochs, and take the best epoch's "
        "weights (--validate is implied)",
    )
    parser.add_argument(
        "--log",
        action="append",
        default=[],
        choices=("tensorboard", "mlflow", "wandb"),
        help="write the curves there, too; may be given several times",
    )
    parser.add_argument("--no-test", action="store_true", help="do not test after training")
    add_run_options(parser)
    return parser


def _epochs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}', expected a number of epochs, 1 or more")
    return int(text)


def _set_start(config: Config, args: argparse.Namespace) -> None:
    """Write the options for the start of a training into the config.

    Raises:
        InputError: if an option lacks another one that it needs, two exclude each other, or one is given that
            is for networks only.
    """
    from m3amba_zoo.config.options import FREEZE, INIT_FROM

    start = config.get(INIT_FROM) or {}
    start = {"weights": start} if isinstance(start, str) else start
    given = {"weights": args.init_from, "config": args.init_config, "fresh": args.fresh}
    start = {**start, **{key: value for key, value in given.items() if value}}
    if "weights" not in start and (args.init_config or args.fresh):
        raise InputError(f"--{'init-config' if args.init_config else 'fresh'} needs --init-from")
    if start:
        config[INIT_FROM] = start
    if args.freeze:
        config[FREEZE] = args.freeze
    for key in (INIT_FROM, FREEZE):
        if config.get(key) and config.get("classifier") is not None:
            raise InputError(
                f"{config.filename}: {key} is for networks; a classical classifier has no weights"
            )
    if start and config.get("load_from") and not (args.resume or config.get("resume")):
        raise InputError("init_from and load_from are both given, expected one of them")


def _find_resumed(config: Config, resume: str | None) -> Path | None:
    """Return the checkpoint to resume; None if there is none in the work dir, or none is wanted."""
    from m3amba_zoo.engine.checkpoint import latest_checkpoint

    if resume == "auto":
        return latest_checkpoint(config.work_dir)
    return Path(resume) if resume else None


def _set_resume(config: Config, path: Path | None, args: argparse.Namespace) -> str:
    """Give the config the seed and the frozen parameters of a checkpoint; return a line to print.

    Raises:
        InputError: if the checkpoint cannot be read, or a seed that is given or ``--freeze`` contradicts it.
    """
    from m3amba_zoo.config.options import FREEZE, set_seed
    from m3amba_zoo.engine.checkpoint import SEEDED_SPLITS, read_meta

    if path is None:
        return f"nothing to resume in {config.work_dir}: training starts anew"
    meta = read_meta(path)
    trained = meta.get("seed")
    given = {} if args.seed is None else {"--seed": args.seed}
    if any(option.startswith("randomness.seed=") for option in args.cfg_options or ()):
        given["--cfg-options randomness.seed"] = config.randomness.seed
    for option, seed in given.items():
        if trained not in (None, seed):
            raise InputError(
                f"{option} {seed}: {path} was trained with seed {trained}; leave {option} out to resume it"
            )
    if trained is not None:
        set_seed(config, trained, splits=meta[SEEDED_SPLITS])
    frozen = list(meta[FREEZE])
    if config.get(FREEZE) and list(config[FREEZE]) != frozen:
        raise InputError(
            f"freeze is {list(config[FREEZE])}, but {path} was trained with {frozen}, so the optimiser's "
            "state would not fit"
        )
    if frozen:
        config[FREEZE] = frozen
    return f"resumes {path}, epoch {meta.get('epoch')}"
