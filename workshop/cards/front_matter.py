"""The front matter of a card, partly from its files and partly written by hand."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scores import SCORES
from m3amba_zoo.hub.index import CONFIG
from m3amba_zoo.hub.trained_model import GOLDEN, README
from workshop.cards.files import CardFiles, Trained

ZOO = "m3amba_zoo"
SIMULATED = "simulated"
LICENCE = "apache-2.0"
# Hugging Face's ids and our titles of OA, AA and kappa
_HUB_METRICS = {
    "oa": ("accuracy", "OA"), "aa": ("balanced_accuracy", "AA"), "kappa": ("cohen_kappa", "kappa"),
}  # fmt: skip
BY_HAND_OF_INPUTS = ("unit", "wavelengths", "sensor")


def front_matter(files: CardFiles, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card's front matter: ``written`` with its generated keys replaced from the files.

    Raises:
        InputError: if the card's name says that the data is simulated and it is not, or the reverse, or the
            front matter describes an input that the model does not have.
    """
    card = _mapping(written.get(ZOO))
    trained, data = files.trained, _data(files)
    simulated = _is_simulated(files, data["dataset"])
    if simulated != (SIMULATED in files.name):
        raise InputError(
            f"{files.folder}: the data '{data['dataset']}' is {'' if simulated else 'not '}{SIMULATED}; the "
            f"card's name must {'' if simulated else 'not '}have this word"
        )
    generated: dict[str, Any] = {
        "base": files.name.partition("_")[0],
        **data,
        "simulated": simulated,
        "weights": None,
        "no_weights": card.get("no_weights"),
        "inputs": _inputs(files, card.get("inputs")),
        "split": _untrained_split(files, card.get("split")),
        "selection": None,
        "seeds": [],
        "results": None,
        "paper": card.get("paper"),
        "provenance": None,
        "licence": {"weights": LICENCE, **_without(card.get("licence"), "weights")},
        "golden": None,
        "limits": card.get("limits"),
    }
    if trained is not None:
        del generated["no_weights"]
        generated.update(_of_training(trained))
    first = {
        "license": LICENCE,
        "library_name": ZOO,
        "pipeline_tag": "image-segmentation",
        "tags": written.get("tags"),
        "datasets": [data["dataset"]],
    }
    if trained is not None:
        first["model-index"] = _model_index(files.name, generated)
    others = {key: value for key, value in written.items() if key not in (*first, "model-index", ZOO)}
    unknown = {key: value for key, value in card.items() if key not in (*generated, "no_weights")}
    return {**first, **others, ZOO: {**generated, **unknown}}


def _data(files: CardFiles) -> dict[str, Any]:
    if files.trained is not None:
        shipped = files.trained.shipped
        return {"dataset": shipped["dataset"], "modalities": list(shipped["modalities"])}
    return {"dataset": _test_data(files, "source"), "modalities": list(files.bands)}


def _is_simulated(files: CardFiles, dataset: str) -> bool:
    """Return what the record says of the data; earlier versions, and cards without weights, have the name."""
    record = files.trained.shipped if files.trained is not None else {}
    return bool(record.get(SIMULATED, SIMULATED in dataset))


def _test_data(files: CardFiles, part: str) -> str:
    """Return the type of the source or split that the config tests on."""
    dataset = _mapping(_mapping(files.config.get("test_dataloader")).get("dataset"))
    if not (kind := _mapping(dataset.get(part)).get("type")):
        raise InputError(f"{files.folder / CONFIG}: test_dataloader.dataset has no {part} with a type")
    return str(kind)


def _untrained_split(files: CardFiles, written: Any) -> dict[str, Any]:
    """Return the split's name, and what is written by hand about it."""
    return {"name": _test_data(files, "split"), **_without(written, "name")}


def _inputs(files: CardFiles, written: Any) -> dict[str, Any]:
    bands_of = files.bands
    for modality in _mapping(written):
        if modality not in bands_of:
            raise InputError(
                f"{files.folder / README}: {ZOO}.inputs describes '{modality}', but {CONFIG} has "
                f"{', '.join(bands_of)}"
            )
    treatment = _mapping(_mapping(files.config.model.get("data_preprocessor")).get("pretreatment"))
    inputs = {}
    for modality, bands in bands_of.items():
        by_hand = dict.fromkeys(BY_HAND_OF_INPUTS)
        by_hand.update(_without(_mapping(written).get(modality), "bands", "normalisation"))
        steps = treatment.get(modality, [{"type": "Standardize"}])
        normalisation = ", ".join(map(_step, steps)) or "none"
        inputs[modality] = {"bands": bands, **by_hand, "normalisation": normalisation}
    return inputs


def _step(step: Mapping[str, Any]) -> str:
    """Return a step of the pretreatment as text."""
    arguments = ", ".join(f"{key}={value!r}" for key, value in step.items() if key != "type")
    return f"{step['type']}({arguments})" if arguments else str(step["type"])


def _of_training(trained: Trained) -> dict[str, Any]:
    shipped, runs = trained.shipped, list(trained.runs.values())
    split = shipped["split"]
    seconds = sum(sum(record["timing_s"].values()) for record in runs)
    return {
        "weights": {
            "file": trained.weights.path,
            "size": trained.weights.size,
            "sha256": trained.weights.sha256,
            "seed": trained.seed,
            "parameters": shipped["model"]["parameters"],
        },
        "split": {
            **{key: split[key] for key in ("name", "sha256", "leaked_pixels", "window")},
            "pixels": {part: split["pixels"][part] for part in ("train", "val", "test")},
        },
        "selection": "; ".join(sorted({record["selection"] for record in runs})),
        "seeds": list(trained.runs),
        "results": {score: _mean_and_std([record[score] for record in runs]) for score in SCORES},
        "provenance": {
            **{key: shipped[key] for key in ("commit", "command", "versions", "machine")},
            "hours": round(seconds / 3600, 3),
        },
        "golden": {"file": GOLDEN, "tolerance": trained.tolerance},
    }


def _mean_and_std(values: list[float]) -> dict[str, float | None]:
    std = round(statistics.stdev(values), 6) if len(values) > 1 else None
    return {"mean": round(statistics.fmean(values), 6), "std": std}


def _model_index(name: str, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the results in Hugging Face's format."""
    split, seeds = card["split"], card["seeds"]
    of_seeds = f"mean of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    metrics = []
    for score, (kind, title) in _HUB_METRICS.items():
        found = card["results"][score]
        simulated = ", simulated data" if card["simulated"] else ""
        metrics.append({"type": kind, "name": f"{title} ({of_seeds}{simulated})", "value": found["mean"]})
    dataset = {
        "type": card["dataset"],
        "name": f"{card['dataset']} ({' + '.join(card['modalities'])})",
        "split": "test",
        "args": {"split": split["name"], "sha256": split["sha256"], "leaked_pixels": split["leaked_pixels"]},
    }
    task = {"type": "image-segmentation", "name": "pixel classification"}
    return [{"name": name, "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without(value: Any, *keys: str) -> dict[str, Any]:
    return {key: entry for key, entry in _mapping(value).items() if key not in keys}
