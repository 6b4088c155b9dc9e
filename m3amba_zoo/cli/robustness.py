"""Score a trained network on its test part with disturbed rasters; write robustness.json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3amba_zoo.cli.command_parser import CommandParser
from m3amba_zoo.cli.output import print_json, print_line, print_table
from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    from m3amba_zoo.evaluation.robustness import RobustnessTest, Row

ROBUSTNESS_FILE = "robustness.json"
GOES_ON = ("model", "dataset", "split", "seed", "draws")
MADE_BY = ("commit", "versions")
"""Of which one file has one, because they decide the scores."""


def main(argv: Sequence[str] | None = None) -> int:
    """Score and print the table; bad input raises InputError."""
    args = _parser().parse_args(argv)
    from m3amba_zoo.evaluation.robustness import plan
    from m3amba_zoo.hub.resolve import locate

    found = locate(args.run)
    published = found.published is not None
    out = args.out or (
        Path("work_dirs", f"{found.folder.name}_robustness", ROBUSTNESS_FILE)
        if published
        else found.folder / ROBUSTNESS_FILE
    )
    content, test = _prepared(found, args)
    rows = plan(test.model.in_channels, args.seed, args.draws)
    if out.exists() and not args.overwrite:
        content = _earlier(out, content, rows)
    else:
        content["rows"] = [{**row.facts, "trials": []} for row in rows]
    _score(test, rows, content, out, quiet=args.json)
    if args.json:
        print_json(content)
        return 0
    _print(content)
    print_line(f"wrote {out}")
    return 0


def _prepared(found: Any, args: argparse.Namespace) -> tuple[dict[str, Any], RobustnessTest]:
    """Return what robustness.json says of the model and its data, and the test.

    Raises:
        InputError: if it is no network, its data is absent, or the data gives another test part.
    """
    import torch

    from m3amba_zoo.evaluation.record import METRICS_FILE, provenance
    from m3amba_zoo.evaluation.robustness import FORMAT, RobustnessTest
    from m3amba_zoo.hub.trained_model import find_weights, read_own_record

    trained = found.load()
    if trained.config is None or "model" not in trained.config:
        raise InputError(
            f"{found.folder}: holds a classical classifier; a network is expected, whose windows are tested"
        )
    weights = found.folder / found.published.weights if found.published else find_weights(found.folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    test = RobustnessTest(trained.model.to(device).eval(), trained.config.get("test_dataloader") or {})
    data = test.windows.data
    path = found.folder / METRICS_FILE
    said = read_own_record(path).get("split", {}).get("test_sha256") if path.is_file() else None
    if said not in (None, data.split.test_sha256):
        raise InputError(
            f"{path}: was scored on a test part with sha256 {said[:8]}, but the data on this machine gives "
            f"{data.split.test_sha256[:8]}"
        )
    content = {
        "format": FORMAT,
        "model": {"name": found.folder.name, "file": weights.name, "sha256": trained.tags["WEIGHTS_SHA256"]},
        "dataset": data.name,
        "simulated": data.simulated,
        "split": {"name": data.split.name, "part": "test", "test_sha256": data.split.test_sha256},
        "pixels": data.split.count("test"),
        "modalities": list(trained.model.in_channels),
        "seed": args.seed,
        "draws": args.draws,
        **provenance(),
    }
    return content, test


def _earlier(path: Path, content: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return an earlier result, finished or not, with what it says of its making.

    Raises:
        InputError: if it is damaged, or of another model, data, seed or number of draws; or if it is not
            finished and was begun by other software.
    """
    from m3amba_zoo.evaluation.robustness import read_robustness, unfinished

    earlier = read_robustness(path)
    remedy = "--overwrite replaces it, --out writes elsewhere"
    for key in GOES_ON:
        if earlier[key] != content[key]:
            raise InputError(f"{path}: has {key} {earlier[key]!r}, now it is {content[key]!r}; {remedy}")
    facts = [{k: v for k, v in row.items() if k != "trials"} for row in earlier["rows"]]
    if facts != [dict(row.facts) for row in rows]:
        raise InputError(f"{path}: has other disturbances than this release tries; {remedy}")
    for key in MADE_BY if any(unfinished(rows, earlier["rows"])) else ():
        if earlier[key] != content[key]:
            before, now = _different(earlier[key], content[key])
            raise InputError(f"{path}: was begun with {key} {before}, now it is {now}; {remedy}")
    return earlier


def _different(before: Any, now: Any) -> tuple[str, str]:
    """Return how two values differ: of dicts the entries that do."""
    if not isinstance(before, dict):
        return str(before), str(now)
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = [", ".join(f"{name} {of.get(name, 'absent')}" for name in names) for of in (before, now)]
    return told[0], told[1]


def _score(
    test: RobustnessTest, rows: Sequence[Row], content: dict[str, Any], out: Path, quiet: bool
) -> None:
    """Score what is not scored yet, and write the file after each trial."""
    from m3amba_zoo.evaluation.record import write_json
    from m3amba_zoo.evaluation.robustness import unfinished, words

    out.parent.mkdir(parents=True, exist_ok=True)
    left = list(unfinished(rows, content["rows"]))
    total = sum(len(row.trials) for row in rows)
    for number, (index, trial) in enumerate(left, start=total - len(left) + 1):
        scores = test.score(trial.disturbance)
        content["rows"][index]["trials"].append({**trial.facts, **scores})
        write_json(out, content)
        if not quiet:
            told = ", ".join(f"{key} {value}" for key, value in trial.facts.items())
            what = f"{words(rows[index].facts)} ({told})" if told else words(rows[index].facts)
            print_line(f"{number} of {total}: {what}, OA {scores['oa']:.4f}")


def _print(content: dict[str, Any]) -> None:
    from m3amba_zoo.evaluation.robustness import summary, words

    lines = []
    for row in content["rows"]:
        found = summary(row)
        mean = (f"{found['mean'][score]:.4f}" for score in ("oa", "aa", "kappa"))
        lines.append([words(row), *mean, f"{found['worst']['oa']:.4f}"])
    print_line(f"{content['model']['name']} on {content['pixels']:,} test pixels of {content['dataset']}:")
    print_table(["rasters", "OA", "AA", "kappa", "worst OA"], lines)


def _parser() -> CommandParser:
    parser = CommandParser(
        description=__doc__,
        examples=(
            "m3amba robustness m3amba-t_terramind --out robustness.json",
            "m3amba robustness work_dirs/m3amba_houston --draws 5",
        ),
        notes="A modality missing, the others shifted by 1 to 4 pixels, noise of 40 to 10 dB, bands missing: "
        "docs/robustness.md. A stopped run goes on where it was when it is started again.",
    )
    parser.add_argument(
        "run", metavar="RUN", help="a work dir of a network, or the name of a published model"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help=f"default: {ROBUSTNESS_FILE} in the work dir; of a published model in work_dirs/NAME_robustness",
    )
    parser.add_argument("--seed", type=int, default=0, help="of noise and missing bands (default: 0)")
    parser.add_argument("--draws", type=int, default=3, help="of noise and missing bands (default: 3)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an earlier result, do not go on with it"
    )
    parser.add_argument("--json", action="store_true", help="print the content of the file")
    parser.add_quiet()
    return parser
