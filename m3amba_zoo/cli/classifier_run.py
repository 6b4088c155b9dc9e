"""Fits a classical classifier, which needs no Runner, and scores it as a network is scored."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine.config import Config

from m3amba_zoo.cli.output import print_line
from m3amba_zoo.cli.running import name_of, require
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import evaluate_scenes
from m3amba_zoo.evaluation.record import build_record
from m3amba_zoo.evaluation.scene_metric import predict_scenes
from m3amba_zoo.models.baselines import PixelClassifier
from m3amba_zoo.models.baselines.kept import FILE, keep
from m3amba_zoo.models.weights import forget_choice, read_choice, write_choice
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.reporting import REPORT_FILE, is_wanted, write_results
from m3amba_zoo.splits import leak_note, load_scene_data
from m3amba_zoo.splits.scene_data import SceneData


def run_classifier(config: Config) -> None:
    """Fit, predict and score a classifier, and write what a run of a network writes to the work dir.

    That is classifier, config, ``metrics.json``, maps and, unless ``report`` is False, ``report.html``.
    ``test_dataloader.dataset`` names the data, its split and the part that is scored. With its
    ``whole_scenes=False`` only the scenes that have pixels of the part are predicted.

    Raises:
        InputError: if the config names no data or an unknown classifier, or the data lacks a modality or
            pixels that it needs.
    """
    require(config, "classifier", "test_dataloader")
    wanted = is_wanted(config)
    dataset = config.test_dataloader.dataset
    seed = config.get("randomness", {}).get("seed", 0)
    name = name_of(config)
    default_args = {"modalities": list(dataset.modalities)}
    classifier: PixelClassifier = CLASSIFIERS.build(config.classifier.to_dict(), default_args=default_args)
    data = load_scene_data(dataset.source, dataset.split)
    part = dataset.get("part", "test")
    if data.split.count(part) == 0:
        raise InputError(f"split '{data.split.name}' of {data.name} has no {part} pixel")
    print_line(
        f"{name}: {type(classifier).__name__} on {data.name}, split {data.split.name}: "
        f"{data.split.count('train'):,} training pixels, {data.split.count(part):,} {part} pixels, "
        f"seed {seed}"
    )
    if data.note:
        print_line(data.note)
    if leak := leak_note(data, classifier.window, classifier.modalities):
        print_line(f"warning: {leak}")
    began = time.perf_counter()
    classifier.fit(data, seed)
    if classifier.warning:
        print_line(f"warning: {classifier.warning}")
    fitted = time.perf_counter()
    print_line(f"fitted in {fitted - began:.0f} s; predicting")
    predicted = predict_scenes(classifier, data, None if dataset.get("whole_scenes", True) else part)
    timing = {"train": fitted - began, "test": time.perf_counter() - fitted}
    modalities = classifier.modalities or None  # a classifier by position reads none
    evaluation = evaluate_scenes(predicted, data.scenes, data.split, part, modalities)
    work_dir = Path(config.work_dir)
    weights = _keep(work_dir, classifier, data, config)
    found = evaluation.scores
    print_line(f"{part}: oa {found['oa']:.4f}, aa {found['aa']:.4f}, kappa {found['kappa']:.4f}")
    record = build_record(
        evaluation,
        data,
        config,
        window=classifier.window,
        model=_describe(name, classifier),
        selection=classifier.selection,
        seed=seed,
        timing=timing,
        weights=weights,
    )
    if not classifier.probabilistic:
        record["ece"] = None  # it gives one class with certainty: no calibration to measure
    logits = predicted if classifier.probabilistic else None

    def warn(line: str) -> None:
        print_line(f"warning: {line}")

    written = write_results(work_dir, record, data, evaluation.class_maps, logits, warn, with_report=wanted)
    report = f"{REPORT_FILE}, " if written else ""
    kept = f"{FILE}, " if weights else ""
    maps = f"maps/ ({len(evaluation.class_maps)} files)"
    print_line(f"wrote {kept}metrics.json, {report}map.png and {maps} to {work_dir}")
    if not weights:
        print_line(f"a {type(classifier).__name__} keeps nothing, so that it predicts no other rasters")


def _keep(
    work_dir: Path, classifier: PixelClassifier, data: SceneData, config: Config
) -> dict[str, Any] | None:
    """Write config and classifier to the work dir; return what ``metrics.json`` says of the file, if any."""
    work_dir.mkdir(parents=True, exist_ok=True)
    forget_choice(work_dir)
    (work_dir / FILE).unlink(missing_ok=True)
    config.dump(work_dir / Path(config.filename).name)
    in_channels = {m: len(data.scenes[0].rasters[m].data) for m in classifier.modalities}
    if not keep(classifier, work_dir / FILE, in_channels, len(data.classes)):
        return None
    write_choice(work_dir, work_dir / FILE, classifier.selection)
    chosen = read_choice(work_dir)
    return chosen and {"file": FILE, "sha256": chosen.sha256, "epoch": None}


def _describe(name: str, classifier: PixelClassifier) -> dict[str, Any]:
    """Return the entry ``model`` of ``metrics.json``; a classifier has no parameters trained by gradients."""
    return {
        "name": name,
        "type": type(classifier).__name__,
        "modalities": list(classifier.modalities),
        "mean": classifier.window,
        "parameters": None,
        "trained_parameters": None,
        "flops_per_pixel": None,
        **classifier.settings,
        "transductive": False,
    }
