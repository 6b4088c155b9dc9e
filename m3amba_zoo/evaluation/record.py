"""metrics.json: one run's scores with all that is needed to judge and repeat them; its costs among them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from mmengine.config import Config
from numpy.typing import ArrayLike, NDArray
from torch.utils.flop_counter import FlopCounterMode

import m3amba_zoo.ops.flops as flops  # registers the scans' formulas
from m3amba_zoo.config import config_sha256
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.scene_metric import Evaluation
from m3amba_zoo.evaluation.scores import SCORES, confusion_matrix, scores, unpack_predicted
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.reading import check_schema, read_json
from m3amba_zoo.splits import leaked_pixels, shown_by
from m3amba_zoo.splits.scene_data import SceneData
from m3amba_zoo.system import whole_file

METRICS_FILE = "metrics.json"
PACKAGES = ("m3amba_zoo", "torch", "mmengine", "open_clip_torch", "numpy", "numba", "scikit-learn")
PROCESS_STATUS = Path("/proc/self/status")
MEBIBYTE = 2**20

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {
    "type": "number",
    "minimum": -sys.float_info.max,
    "maximum": sys.float_info.max,
    "description": "a number that fits in float64",
}
FRACTION: Schema = {"type": "number", "minimum": 0, "maximum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53}  # no sum of a matrix of them overflows
BOOLEAN: Schema = {"type": "boolean"}


def _object(**entries: Schema) -> Schema:
    return {"type": "object", "properties": entries}


def _each(entry: Schema) -> Schema:
    return {"type": "object", "additionalProperties": entry}


def _list(entry: Schema) -> Schema:
    return {"type": "array", "items": entry}


def _or_null(entry: Schema) -> Schema:
    return {**entry, "type": [entry["type"], "null"]}


BYTE: Schema = {"type": "integer", "minimum": 0, "maximum": 255}
COLOR: Schema = {"type": ["array", "null"], "items": BYTE, "minItems": 3, "maxItems": 3}
BANDS: Schema = {
    "required": ["count"],
    **_object(
        count={"type": "integer", "minimum": 1},
        names=_list(TEXT),
        wavelengths=_list(NUMBER),
        numbers=_list(COUNT),
        bands_in_file=COUNT,
        unit=TEXT,
        stated=_or_null(_object()),
        mean=_list(NUMBER),
        std=_list(NUMBER),
        lacking={**_list(COUNT), "minItems": 2, "maxItems": 2},
        fingerprint=TEXT,
        read_from=_list(TEXT),
    ),
}
PER_CLASS: Schema = {
    "required": ["name"],
    **_object(
        name=TEXT,
        accuracy=_or_null(FRACTION),
        precision=_or_null(FRACTION),
        f1=_or_null(FRACTION),
        iou=_or_null(FRACTION),
        support=COUNT,
        color=COLOR,
    ),
}
RUN: Schema = _object(
    oa=FRACTION,
    aa=FRACTION,
    kappa={"type": "number", "minimum": -1, "maximum": 1},
    mean_f1=FRACTION,
    mean_iou=FRACTION,
    ece=_or_null(FRACTION),  # of a classifier without probabilities
    per_class={**_list(PER_CLASS), "minItems": 1},
    confusion=_list(_list(COUNT)),
    predicted=TEXT,
    pixels=COUNT,
    dataset=TEXT,
    simulated=BOOLEAN,
    modalities=_list(TEXT),
    wavelengths=_or_null(_each(_list(NUMBER))),
    inputs=_each(BANDS),
    split=_object(
        name=TEXT,
        part=TEXT,
        sha256=TEXT,
        test_sha256=TEXT,
        leaked_pixels=COUNT,
        window=COUNT,
        pixels=_each(COUNT),
        val=_or_null(_object()),
    ),
    selection=TEXT,
    weights=_or_null(_object(file=TEXT, sha256=TEXT, epoch=_or_null(COUNT))),
    seed=COUNT,
    model=_object(
        name=TEXT,
        type=TEXT,
        parameters=_or_null(NUMBER),
        trained_parameters=_or_null(NUMBER),
        flops_per_pixel=_or_null(NUMBER),
        transductive=BOOLEAN,
    ),
    timing_s=_each(NUMBER),
    pixels_per_second=NUMBER,
    memory_mib=_each(NUMBER),
    threads=COUNT,
    extended=_list(_object()),
    config_sha256=TEXT,
    versions=_each(TEXT),
    machine=TEXT,
    commit=_or_null(TEXT),
    command=TEXT,
    run=_object(group=TEXT, dataset=TEXT, model=TEXT, config=TEXT, options=_list(TEXT), tuned=_list(TEXT)),
)
RUN["dependentRequired"] = {"confusion": ["per_class"], "predicted": ["pixels"]}
RUNS: Schema = {**_each(RUN), "propertyNames": {"pattern": "^[0-9]{1,16}$"}}
RECORD: Schema = {**RUN, "properties": {**RUN["properties"], "runs": RUNS}}
"""A run's record, or a card's, which has one of each seed under ``runs`` (JSON Schema, draft 2020-12).

It says of what type the entries are that commands read. An entry may be absent, where a command can do
without it, and there may be others. ``workshop/cards/metrics.schema.json`` states what a card must have.
"""


def build_record(
    evaluation: Evaluation,
    data: SceneData,
    config: Config,
    *,
    window: int,
    model: Mapping[str, Any],
    selection: str,
    seed: int,
    timing: Mapping[str, float],
    weights: Mapping[str, Any] | None = None,
    extended: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the content of ``metrics.json``.

    Args:
        evaluation: of the part that was scored.
        data: the scenes and the split that were scored.
        config: of the run, with its options and seed.
        window: side of the training windows, for the count of leaked pixels (1 for a pixel classifier).
        model: name, parameters, operations, encoder and what else describes the network.
        selection: the rule that chose the weights, in words.
        seed: of the run.
        timing: seconds by stage.
        weights: ``file``, ``sha256`` and ``epoch`` of the weights that were scored; None if there is no file.
        extended: what was changed in the training, with the epoch and the config's hash before it.
    """
    return {
        **evaluation.scores,
        "dataset": data.name,
        "simulated": data.simulated,
        "modalities": (modalities := list(model.get("modalities", []))),
        "wavelengths": _wavelengths(data, modalities),
        "inputs": {m: known.to_json() for m, known in known_bands(data, modalities).items()},
        "split": {
            "name": data.split.name,
            "part": evaluation.part,
            "sha256": data.split.sha256,
            "test_sha256": data.split.test_sha256,
            "leaked_pixels": leaked_pixels(data.split, data.scenes, shown_by(data, window, modalities)),
            "window": window,
            "pixels": {part: data.split.count(part) for part in ("train", "val", "test")},
            "val": data.split.held_out and asdict(data.split.held_out),
        },
        "selection": selection,
        "weights": weights and dict(weights),
        "seed": seed,
        "model": dict(model),
        "timing_s": {stage: round(seconds, 2) for stage, seconds in timing.items()},
        "pixels_per_second": round(mapped_pixels(evaluation) / max(timing["test"], 1e-9), 1),
        "memory_mib": memory_mib(),
        "threads": torch.get_num_threads(),
        "extended": list(extended),
        "config_sha256": config_sha256(config, extended),
        **provenance(),
    }


def provenance() -> dict[str, Any]:
    """Return the ``versions`` of packages, ``machine``, ``commit`` and ``command`` of this process."""
    return {
        "versions": _versions(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "commit": _commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def mapped_pixels(evaluation: Evaluation) -> int:
    """Count the pixels that were given a class, labelled or not."""
    return sum(int((class_map > 0).sum()) for class_map in evaluation.class_maps.values())


def _wavelengths(data: SceneData, modalities: Sequence[str]) -> dict[str, list[float]]:
    """Return the band centres in nm of each modality whose files tell them."""
    rasters = data.scenes[0].rasters
    known = {m: rasters[m].wavelengths for m in modalities if m in rasters}
    return {m: [round(float(x), 3) for x in centres] for m, centres in known.items() if centres is not None}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Return the checkout's commit, with ``+`` if tracked files were changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_resident_bytes() -> int:
    """Return the peak of this process's resident memory, Python and its libraries included."""
    if PROCESS_STATUS.is_file():  # on Linux, getrusage starts from the peak of the parent process
        line = next(line for line in PROCESS_STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return psutil.Process().memory_info().peak_wset
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_mib() -> dict[str, float]:
    """Return the peaks so far in MiB: ``process``, and ``cuda`` where a GPU was used."""
    found = {"process": round(peak_resident_bytes() / MEBIBYTE, 1)}
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        found["cuda"] = round(torch.cuda.max_memory_allocated() / MEBIBYTE, 1)
    return found


def count_flops(call: Callable[[], object]) -> int:
    """Count a call's floating-point operations; a multiply-add is two.

    Matrix products, convolutions, attention and the selective scan count, by torch's formulas and those of
    ``ops.flops``. Elementwise operations such as activations and norms do not, as is usual.
    """
    # nn.MultiheadAttention in one step has no formula, and would count as nothing
    in_one_step = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=flops.LACKING) as counter:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(in_one_step)
    return counter.get_total_flops()


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a temporary file and rename it, so that no half-written file is left.

    Raises:
        InputError: if the file cannot be written, or the disk is full.
    """
    with whole_file(path) as aside:
        aside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """Read a ``metrics.json`` or a kept record; ``content`` is the file's, if it was read already.

    Raises:
        InputError: if the file is absent, does not hold a JSON object, an entry is of another type, or a
            confusion matrix is not of its classes.
    """
    record = read_json(path, content=content)
    check_schema(record, RECORD, path)
    _check_matrix(record, str(path))
    for seed, run in record.get("runs", {}).items():
        _check_matrix(run, f"{path}: run {seed}")
    return record


def _check_matrix(record: Mapping[str, Any], name: str) -> None:
    """Raise InputError if there is a confusion matrix that has not a row and a column for each class."""
    classes = len(record.get("per_class", ()))
    if "confusion" in record and [len(row) for row in record["confusion"]] != [classes] * max(classes, 1):
        raise InputError(
            f"{name}: the confusion matrix has not {classes} rows and columns, one for each class"
        )


def check_scores(record: Mapping[str, Any], name: str, labels: NDArray | None = None) -> None:
    """Check that each pixel of the part was scored once, and that scores, matrix and predictions agree.

    Args:
        record: the content of a ``metrics.json``.
        name: the message's first words.
        labels: of the scored pixels, see ``significance.fixed_part``. With them the whole confusion matrix is
            counted anew, else only its columns.

    Raises:
        InputError: if they do not.
    """
    _check_matrix(record, name)
    confusion, split = np.array(record["confusion"]), record["split"]
    scored, expected = int(confusion.sum()), split.get("pixels", {}).get(split.get("part"))
    if expected is None:
        raise InputError(f"{name}: 'split' does not say how many pixels its 'part' has, expected 'pixels'")
    if not scored == record["pixels"] == expected:
        raise InputError(
            f"{name}: scores are computed on {scored} pixels, but the split has {expected} "
            f"{split['part']} pixels"
        )
    found = scores(confusion, [entry["name"] for entry in record["per_class"]])
    for score in SCORES:
        if abs(found[score] - record[score]) > 1e-9:
            raise InputError(
                f"{name}: {score} is {record[score]}, but the confusion matrix gives {found[score]}"
            )
    try:
        predicted = unpack_predicted(record["predicted"], scored)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    counts = np.bincount(predicted, minlength=len(confusion) + 1)
    for value in (0, *range(len(confusion) + 1, len(counts))):
        if counts[value]:
            raise InputError(
                f"{name}: {counts[value]} pixels are predicted as class {value}, expected 1 to "
                f"{len(confusion)}"
            )
    for index, entry in enumerate(record["per_class"]):
        if counts[index + 1] != confusion[:, index].sum():
            raise InputError(
                f"{name}: {counts[index + 1]} pixels are predicted as '{entry['name']}', expected "
                f"{confusion[:, index].sum()}"
            )
    if labels is None:
        return
    if len(labels) != scored:
        raise InputError(f"{name}: {scored} pixels were scored, but {len(labels)} have labels")
    counted = confusion_matrix(labels, predicted, len(confusion))
    if (counted != confusion).any():
        row, column = np.argwhere(counted != confusion)[0]
        names = [entry["name"] for entry in record["per_class"]]
        raise InputError(
            f"{name}: {counted[row, column]} pixels of '{names[row]}' are predicted as '{names[column]}', "
            f"but the confusion matrix has {confusion[row, column]}"
        )


def known_bands(data: SceneData, modalities: Sequence[str]) -> dict[str, KnownBands]:
    """Describe each modality's bands, with mean and deviation over the training pixels that have them.

    How many of these pixels lack the modality is counted. Those that an encoder reads, whose features the
    model reads, are described, too.

    Args:
        data: the scenes and the split of the training.
        modalities: that the model reads.
    """
    known = {}
    encoded = {m: data.encoded[m] for m in modalities if m in data.encoded}
    read = [*modalities, *(source for of in encoded.values() for source in of.read_from)]
    for modality in dict.fromkeys(read):
        described = KnownBands.of(data.scenes[0].rasters[modality], data.requests.get(modality))
        pixels = np.concatenate(
            [scene.rasters[modality].pixels(mask) for scene, mask in data.split.parts(data.scenes, "train")]
        )
        present = ~np.isnan(pixels)
        lacking = int((~present.any(axis=1)).sum()), len(pixels)
        described = replace(described, lacking=lacking)
        if present.any(axis=0).all():
            mean = np.mean(pixels, 0, np.float64, where=present)
            std = np.std(pixels, 0, np.float64, where=present)
            described = replace(described, mean=_rounded(mean), std=_rounded(std))
        if modality in encoded:
            of = encoded[modality]
            described = replace(described, fingerprint=of.fingerprint, read_from=of.read_from)
        known[modality] = described
    return known


def _rounded(values: ArrayLike) -> tuple[float, ...]:
    """Return values with the digits that a comparison by eye needs."""
    return tuple(float(f"{value:.6g}") for value in np.asarray(values))
