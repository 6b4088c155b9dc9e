"""Fit a classical baseline on the data and split of a training config, and score it as the network is."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from m3amba_zoo.cli.run_config import read_config, set_seed, starting
from m3amba_zoo.datasets import SceneData, load_scene_data
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import Evaluation, evaluate_scenes
from m3amba_zoo.evaluation.baselines import BASELINES, PixelClassifier, build_baseline, predict_scenes
from m3amba_zoo.evaluation.record import build_record, write_json
from m3amba_zoo.visualization.outputs import write_maps


def main(argv: Sequence[str] | None = None) -> int:
    """Fit, predict, score and name what was written; bad input raises InputError."""
    args = _parser().parse_args(argv)
    console = Console(soft_wrap=True, markup=False, highlight=False)  # paths may hold brackets
    config = read_config(args.config, args.cfg_options, _work_dir(args), launcher="none", local_rank=0)
    if args.seed is not None:
        set_seed(config, args.seed)
    seed = config.get("randomness", {}).get("seed", 0)
    # a leaf config may change a dataset and leave the variable at the top as it was
    given = (config.get("test_dataloader") or {}).get("dataset") or config
    for key in ("source", "split", "modalities"):
        if key not in given:
            raise InputError(f"{args.config}: no '{key}'; a config that trains a network is expected")
    classifier = build_baseline(args.model, args.modalities or given["modalities"], args.mean)
    with starting(config, started=lambda: False):
        data = load_scene_data(given["source"], given["split"])

    console.print(
        f"{args.model} on {data.name}, split {data.split.name}: {data.split.count('train'):,} training "
        f"pixels, {data.split.count('test'):,} test pixels, seed {seed}"
    )
    began = time.perf_counter()
    classifier.fit(data, seed)
    fitted = time.perf_counter()
    console.print(f"fitted in {fitted - began:.0f} s; predicting {len(data.scenes)} scenes")
    evaluation = evaluate_scenes(predict_scenes(classifier, data), data.scenes, data.split, "test")
    timing = {"train": fitted - began, "test": time.perf_counter() - fitted}
    found = evaluation.scores
    console.print(f"test: oa {found['oa']:.4f}, aa {found['aa']:.4f}, kappa {found['kappa']:.4f}")
    _write(Path(config.work_dir), classifier, data, evaluation, seed, timing)
    console.print(f"wrote metrics.json, map.png and maps/ ({len(data.scenes)} files) to {config.work_dir}")
    return 0


def _write(
    work_dir: Path,
    classifier: PixelClassifier,
    data: SceneData,
    evaluation: Evaluation,
    seed: int,
    timing: dict[str, float],
) -> None:
    """Write ``metrics.json`` and the maps."""
    record = build_record(
        evaluation,
        data,
        window=classifier.window,
        model={
            "name": classifier.name,
            "modalities": list(classifier.modalities),
            "mean": classifier.window,
            **classifier.settings,
            "transductive": False,
        },
        selection=classifier.selection,
        seed=seed,
        timing=timing,
    )
    if not classifier.probabilistic:
        record["ece"] = None  # it claims certainty everywhere, which says nothing of calibration
    work_dir.mkdir(parents=True, exist_ok=True)
    write_maps(work_dir, data.scenes, evaluation.class_maps, data.split)
    write_json(work_dir / "metrics.json", record)


def _work_dir(args: argparse.Namespace) -> Path:
    """Return the folder asked for, else one named after the config, the model and what it reads."""
    parts = [args.config.stem, args.model, *(args.modalities or [])]
    if args.mean > 1:
        parts.append(f"mean{args.mean}")
    return args.work_dir or Path("work_dirs", "_".join(parts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a training config; its data and split are used"
    )
    parser.add_argument(
        "--model",
        choices=BASELINES,
        required=True,
        help="position is the class of the nearest training pixel: what the split gives away",
    )
    parser.add_argument("--modalities", nargs="+", metavar="NAME", help="default: all of the config's")
    parser.add_argument(
        "--mean", type=int, default=1, metavar="SIDE", help="average the bands over SIDE x SIDE pixels"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the model and of the config's split")
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="default: work_dirs/<name of the config>_<model>"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change entries of the config, for example test_dataloader.dataset.split.guard=16",
    )
    return parser
