"""Run every model of a plan on every dataset and seed, keep the results, and write a page about them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

PLAN = Path("configs", "leaderboard.py")
PAGE = Path("docs", "leaderboard.md")
CARDS = Path("model_cards")
FAILURE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run, tune or write the page; return 1 if a run failed; bad input raises InputError."""
    args = _parser().parse_args(argv)

    from m3amba_zoo.cli.running import print_line
    from m3amba_zoo.inference.cluster import connect
    from m3amba_zoo.system import whole_file
    from workshop.leaderboard.board import fill, select
    from workshop.leaderboard.goal import filled_readme, readme_path
    from workshop.leaderboard.page import of_main, render, sum_up
    from workshop.leaderboard.plan import read_plan
    from workshop.leaderboard.processes import Processes, default_jobs
    from workshop.leaderboard.table import Table
    from workshop.leaderboard.tuning import TuningTable, tune, tuning_runs, waiting

    plan = read_plan(args.plan)
    table, tuning = Table(args.cards / "leaderboard.csv"), TuningTable(args.cards / "tuning.csv")
    settings = tuning.chosen(plan)
    runs = plan.runs(settings)
    if args.page:
        summed = sum_up(plan, table, runs)
        texts = {args.page: render(plan, table, summed)}
        readme = readme_path(plan) if args.page == PAGE else None  # a page elsewhere is a preview
        if readme is not None:
            texts[readme] = filled_readme(plan, of_main(summed), readme)
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as aside:
                aside.write_text(text, encoding="utf-8", newline="\n")
            print_line(f"wrote {path}")
        return 0
    chosen = select(plan, runs, args.only, args.seeds)
    if args.dry_run:
        for run in tuning_runs(plan, chosen) if args.tune else chosen:
            print_line(" ".join([str(run), *run.all_options]))
        return 0
    left_out = [] if args.tune else waiting(plan, chosen, settings)
    for place in dict.fromkeys(f"{run.base} on {run.dataset}" for run in left_out):
        print_line(f"not run: {place}, because its settings are not chosen yet (--tune)")
    chosen = [run for run in chosen if run not in left_out]
    with ExitStack() as stack:
        client = stack.enter_context(connect(args.dask)) if args.dask else None
        jobs = args.jobs or (default_jobs() if client is None else len(client.scheduler_info()["workers"]))
        processes = Processes(args.work_dirs, jobs, client)
        if args.tune:
            failed = tune(tuning, tuning_runs(plan, chosen), processes)
        else:
            failed = fill(plan, table, chosen, processes)
    written = tuning.path if args.tune else table.path
    print_line(f"{len(failed)} runs failed; results are in {written}")
    return FAILURE if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="leaderboard.py", description=__doc__)
    parser.add_argument(
        "--plan", type=Path, default=PLAN, metavar="FILE", help=f"configs, datasets, seeds (default: {PLAN})"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="only runs whose group, dataset or model match each pattern, such as main idtrees 'lda*|svm'",
    )
    parser.add_argument("--seeds", nargs="+", type=int, metavar="N", help="seeds of the plan (default: all)")
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="runs at a time, which share the cores (default: one per core; one if there is a GPU; one per "
        "worker with --dask)",
    )
    parser.add_argument(
        "--dask",
        metavar="local[:N]|ADDRESS",
        help="hand the runs to the workers of a Dask cluster, which reach the same folders",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="instead, try each model's settings on validation pixels",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the runs and stop")
    parser.add_argument(
        "--page",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="FILE",
        help=f"instead, write the page; without FILE {PAGE} and the table in the plan's README",
    )
    parser.add_argument(
        "--cards", type=Path, default=CARDS, metavar="DIR", help=f"folder of the results (default: {CARDS})"
    )
    parser.add_argument(
        "--work-dirs",
        type=Path,
        default=Path("work_dirs", "leaderboard"),
        metavar="DIR",
        help="folder of the runs' work dirs (default: work_dirs/leaderboard)",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value
