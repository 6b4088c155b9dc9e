"""Test a checkpoint or weights file with a config: scores, maps, metrics.json."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from m3amba_zoo.cli.run_config import add_run_options
from m3amba_zoo.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Test and name what was written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.cli.run_config import build_runner, read_config, set_seed, starting
    from m3amba_zoo.cli.run_output import print_header, print_metrics, print_written
    from m3amba_zoo.engine.checkpoint import read_meta

    config = read_config(args.config, args.cfg_options, args.work_dir, args.launcher, args.local_rank)
    if config.get("test_dataloader") is None:
        raise InputError(f"{args.config}: has no test_dataloader")
    trained = read_meta(args.checkpoint).get("seed")
    if trained is not None:
        set_seed(config, trained)  # the split's seed with it: else pixels that trained it might test it
    config.resume, config.load_from = False, None
    began = time.time()
    with starting(config, started=lambda: False):
        runner = build_runner(config)
        runner.load_checkpoint(str(args.checkpoint), strict=True)
        runner.test_loop  # noqa: B018 - loads the data
        print_header(runner)
        metrics = runner.test()
    print_metrics(metrics)
    print_written(runner, since=began)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the config it was trained with")
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help=".pth, or weights as .safetensors"
    )
    add_run_options(parser)
    return parser
