"""How ``m3amba test MODEL --scene`` goes: a trained model scored on another scene, with files of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import get_console

from m3amba_zoo.cli.output import MapProgress, print_line
from m3amba_zoo.cli.predict import stated_of
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import METRICS_FILE, write_json
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.hub import locate
from m3amba_zoo.hub.trained_model import find_weights, read_own_record
from m3amba_zoo.inference.other_scene import OtherScene, score_other_scene
from m3amba_zoo.inference.predictor import Predictor
from m3amba_zoo.models.baselines.kept import KeptClassifier
from m3amba_zoo.reporting.run_report import try_map_figure
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.system import same_file, sha256_of, whole_folder
from m3amba_zoo.visualization.maps import MAP_FIGURE, file_names, write_class_maps

SCENE_METRICS = "scene_metrics.json"
OWN_FILES = (SCENE_METRICS, "map.png", "maps")


def test_on_scene(
    model: str,
    checkpoint: Path | None,
    scene: Path,
    folder: Path | None,
    bands: Sequence[str],
    match_bands: bool,
) -> None:
    """Score a model on another scene and write ``scene_metrics.json``, ``map.png`` and ``maps/``.

    Args:
        model: a work dir, a card's folder or a published model's name; a config if there is a checkpoint.
        checkpoint: the weights, or None.
        scene: a ``scene.yaml``.
        folder: to write to; None takes ``work_dirs/<model>_on_<scene>``. An earlier result there is replaced.
        bands: the options ``--bands``, which go before what the scene states.
        match_bands: see ``Predictor.open``.

    Raises:
        InputError: if the model or the scene cannot be read, they do not fit, the scene is the one of the
            training, or the folder holds other files.
    """
    manifest = Manifest(scene)
    if checkpoint is None:
        home = locate(model).folder
        predictor, weights = Predictor(model), find_weights(home)
        name = Path(model).name
    else:
        predictor, weights = Predictor.from_files(model, checkpoint), checkpoint
        home, name = checkpoint.parent, Path(model).stem
    _require_finished(home)
    _refuse_own_scene(predictor, manifest, home)
    taken = stated_of("bands", bands, manifest.scenes[0].modalities)
    of_scene = next(iter(file_names([manifest.title]).values()))
    folder = folder or Path("work_dirs", f"{name}_on_{of_scene}")
    _require_free(folder)
    record = read_own_record(home / METRICS_FILE)
    trained_on = record.get("dataset", "unknown data")
    print_line(f"{name}, trained on {trained_on}, is scored on another scene: {manifest.title} ({scene})")
    with MapProgress(get_console()) as progress:
        found = score_other_scene(predictor, manifest, progress, taken, match_bands)
    _print(found)
    content = {
        **found.scores,
        "scored": "all labelled pixels of another scene than the training's",
        "dataset": manifest.title,
        "simulated": manifest.simulated,
        "scene_file": str(scene),
        "scenes": [entry.name for entry in found.scenes],
        "classes_absent": list(found.absent),
        "unseen_pixels": found.unseen,
        "model": _describe(name, weights, record),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    with whole_folder(folder, replace=True) as aside:
        write_class_maps(aside, found.scenes, found.class_maps, found.tags)
        write_json(aside / SCENE_METRICS, content)
        shown = found.scenes, found.class_maps, found.split, manifest.simulated, name
        try_map_figure(aside, *shown, warn=print_line)
    written = [name for name in (SCENE_METRICS, MAP_FIGURE) if (folder / name).is_file()]
    print_line(f"wrote to {folder}: {', '.join(written)}, maps/ ({len(found.class_maps)} files)")


def _require_finished(home: Path) -> None:
    """Raise InputError if a training has not written its record yet, which names the classes."""
    if not (home / METRICS_FILE).is_file():
        raise InputError(
            f"{home}: this training is not finished, {METRICS_FILE} is missing, which names the "
            "model's classes; 'm3amba train' with --resume finishes it"
        )


def _refuse_own_scene(predictor: Predictor, manifest: Manifest, home: Path) -> None:
    """Raise InputError if a model was trained on the scene itself, whose training pixels would be scored."""
    source = predictor.source
    if source.get("type") != "manifest":
        return
    of_training: list[Any] = []
    with contextlib.suppress(InputError):  # where the training's files are gone
        of_training = Manifest(source.get("path", "")).scenes
    if same_file(source.get("path", ""), manifest.path) or any(
        scene.shows_same_as(other) for scene in manifest.scenes for other in of_training
    ):
        scored = "'m3amba test CONFIG CHECKPOINT' scores its test part"
        if isinstance(predictor.model, KeptClassifier):
            scored = f"{home / METRICS_FILE} has the scores of its test part"
        raise InputError(
            f"{manifest.path}: is the scene that the model was trained on, so its training pixels would be "
            f"scored; {scored}"
        )


def _require_free(folder: Path) -> None:
    """Raise InputError unless a folder is absent, empty, or holds an earlier result alone."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; a folder for the results is expected")
    foreign = (
        sorted(path.name for path in folder.iterdir() if path.name not in OWN_FILES)
        if folder.exists()
        else []
    )
    if foreign:
        more = ", ..." if len(foreign) > 3 else ""
        raise InputError(
            f"{folder}: holds {', '.join(foreign[:3])}{more}, not only earlier results on another scene; "
            "expected another --work-dir"
        )


def _print(found: OtherScene) -> None:
    print_line(f"{found.scores['pixels']:,} labelled pixels are scored")
    if found.unseen:
        print_line(f"{found.unseen:,} labelled pixels are left out, no raster shows them")
    if found.reordered:
        print_line("its classes stand in another order than the model's; they are compared by name")
    if found.absent:
        print_line(f"classes of the model without a labelled pixel here: {', '.join(found.absent)}")
    print_line("another scene: " + ", ".join(f"{name} {found.scores[name]:.4f}" for name in SCORES))


def _describe(name: str, weights: Path, record: Any) -> dict[str, Any]:
    """Return what the record says of the model, with its scores where it was trained."""
    return {
        "name": name,
        "weights": {"file": weights.name, "sha256": sha256_of(weights)},
        "trained_on": record.get("dataset"),
        "scores_there": {score: record[score] for score in SCORES if score in record},
    }
