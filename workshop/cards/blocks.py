"""The generated blocks of a card's body in Markdown: results, inputs, use, weights and limits."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from m3amba_zoo.cli.robustness import ROBUSTNESS_FILE
from m3amba_zoo.evaluation.record import METRICS_FILE
from m3amba_zoo.evaluation.robustness import summary, words
from m3amba_zoo.evaluation.scores import SCORES
from workshop.cards.document import code, code_block, escape, table
from workshop.cards.files import MAP, CardFiles, Trained
from workshop.cards.front_matter import BY_HAND_OF_INPUTS, ZOO
from workshop.cards.speeds import speed_lines

BLOCKS = ("results", "inputs", "use", "weights", "limits")
ROBUSTNESS, SPEEDS = "robustness", "speeds"
"""The blocks of cards with ``robustness.json`` and ``speeds.json``; the others are without them."""
WHOLE_SPECTRA = ("PCA(", "Discriminants(")  # steps that give nothing where a band is missing
_TITLES = {"oa": "OA", "aa": "AA", "kappa": "kappa"}


def generated_blocks(files: CardFiles, front: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each generated block, from a card's files and its valid front matter."""
    card = front[ZOO]
    made = {
        "results": _results(files, card),
        "inputs": _inputs(card),
        "use": _use(files.name, card),
        "weights": _weights(files, card),
        "limits": (f"- {escape(limit)}" for limit in card["limits"]),
    }
    if files.trained is not None and files.trained.robustness is not None:
        made[ROBUSTNESS] = _robustness(files.trained.robustness, card)
    if files.trained is not None and files.trained.speeds is not None:
        made[SPEEDS] = speed_lines(files.trained.speeds, files.name)
    return {name: "\n".join(lines) for name, lines in made.items()}


def percent(score: Mapping[str, float | None]) -> str:
    """Return a mean and its standard deviation, given as fractions, in percent."""
    mean, std = score["mean"], score["std"]
    return f"{100 * mean:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")  # type: ignore[operator]


def _results(files: CardFiles, card: Mapping[str, Any]) -> Iterator[str]:
    if files.trained is None:
        yield from ("No result, for want of weights (see below).", "", f"Split {_split(card['split'])}")
    else:
        yield from _scores(files.trained, card)
    if card["paper"] is not None:
        yield ""
        yield f"The paper says {escape(card['paper']['says'])} (OA / AA / kappa, %)."
        yield f"Comparable with figures of this zoo? {escape(_sentence(card['paper']['comparable']))}"


def _scores(trained: Trained, card: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables of scores, by seed and by class, and the map."""
    seeds = len(card["seeds"])
    of_seeds = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    what = "**Simulated data**: these figures say nothing of a real scene. " if card["simulated"] else ""
    yield f"{what}Test pixels of {code(card['dataset'])}, each counted once; {of_seeds}; in percent."
    yield ""
    yield from table(
        [_TITLES[score] for score in SCORES], [[percent(card["results"][score]) for score in SCORES]]
    )
    yield ""
    yield from _by_seed(trained)
    yield from ("", f"Split of the shipped weights: {_split(card['split'])}")
    yield f"Selection: {escape(card['selection'])}."
    if any(record["model"]["transductive"] for record in trained.runs.values()):
        yield "Transductive: the loss also reads unlabelled pixels, the leaked test pixels among them."
    yield from ("", f"![Composite, reference, prediction and errors]({MAP})", "")
    yield from ("<details><summary>Accuracy of each class, shipped weights, %</summary>", "")
    rows = [
        [escape(entry["name"]), _accuracy(entry["accuracy"]), str(entry["support"])]
        for entry in trained.shipped["per_class"]
    ]
    yield from table(["class", "accuracy", "test pixels"], rows)
    yield from ("", "</details>")


def _by_seed(trained: Trained) -> Iterator[str]:
    runs = trained.runs
    rows = []
    for seed, record in runs.items():
        split = record["split"]
        shown = f"**{seed}**" if seed == trained.seed else str(seed)
        leaked = f"{split['leaked_pixels']} of {split['pixels']['test']}"
        scores = (f"{100 * record[score]:.1f}" for score in SCORES)
        rows.append([shown, *scores, code(split["name"]), code(split["sha256"][:12]), leaked])
    titles = (_TITLES[score] for score in SCORES)
    yield from table(["seed", *titles, "split", "sha256", "leaked test pixels"], rows)
    median = statistics.median_low(record["oa"] for record in runs.values())
    by = " (the median by OA)" if len(runs) > 1 and trained.shipped["oa"] == median else ""
    yield ""
    yield f"In bold: the seed whose weights are shipped{by}. All records: [{METRICS_FILE}]({METRICS_FILE})."


def _robustness(content: Mapping[str, Any], card: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of scores under disturbances, with what they are."""
    first, *others = content["modalities"]
    what = "**Simulated data**: these figures say nothing of a real scene. " if content["simulated"] else ""
    yield (
        f"{what}The shipped weights on the same {content['pixels']:,} test pixels, with rasters disturbed in "
        "the test alone; in percent, changes in percentage points."
    )
    yield ""
    undisturbed = summary(content["rows"][0])["mean"]
    rows = []
    for row in content["rows"]:
        found, several = summary(row), len(row["trials"]) > 1
        mean = found["mean"]
        change = _points(mean["oa"] - undisturbed["oa"]) if row["kind"] != "none" else "-"
        worst = f"{100 * found['worst']['oa']:.1f}" if several else "-"
        rows.append([escape(words(row)), *(f"{100 * mean[s]:.1f}" for s in SCORES), change, worst])
    yield from table(["rasters", *(_TITLES[score] for score in SCORES), "change of OA", "worst OA"], rows)
    yield ""
    notes = ["Missing values are what the model takes for no data: the mean of the training."]
    whole = [m for m in content["modalities"] if _needs_all_bands(card["inputs"].get(m, {}))]
    dropped = {row["modality"] for row in content["rows"] if row["kind"] == "bands"}
    for modality in (m for m in whole if m in dropped):
        notes.append(
            f"The normalisation of {code(modality)} needs all bands: where one is missing, the modality is."
        )
    if others:
        moved = ", ".join(map(code, others))
        notes.append(
            f"Misregistered: {moved} moved against {code(first)}, mean and worst of up, down, left and right."
        )
    notes.append(
        "Noise: white and Gaussian in all bands, relative to a band's variance in its scene. Noise and "
        f"missing bands: mean and worst of {content['draws']} draws."
    )
    yield from (f"- {note}" for note in notes)
    yield ""
    yield f"Definitions: docs/robustness.md. All scores: [{ROBUSTNESS_FILE}]({ROBUSTNESS_FILE}), made by"
    yield f"{code(content['command'])} at commit {code((content['commit'] or '')[:12])}."


def _points(change: float) -> str:
    """Return a change of a fraction in percentage points, with its sign unless it is rounded to none."""
    points = round(100 * change, 1)
    return f"{points:+.1f}" if points else "0.0"


def _needs_all_bands(inputs: Mapping[str, Any]) -> bool:
    return any(step in str(inputs.get("normalisation", "")) for step in WHOLE_SPECTRA)


def _split(split: Mapping[str, Any]) -> str:
    """Return what is known of a split; for a card without weights that may be only its name."""
    text = code(split["name"])
    if "sha256" in split:
        text += f", sha256 {code(split['sha256'])}"
    if "pixels" in split:
        text += ", " + ", ".join(f"{count} {part}" for part, count in split["pixels"].items()) + " pixels"
    if "leaked_pixels" in split and "window" in split:
        window = f"{split['window']} x {split['window']}"
        text += f"; {split['leaked_pixels']} test pixels lie inside training windows of {window}"
    return f"{text}."


def _inputs(card: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for modality, entry in card["inputs"].items():
        described = (escape(entry[key]) for key in BY_HAND_OF_INPUTS)
        rows.append([code(modality), str(entry["bands"]), *described, code(entry["normalisation"])])
    yield from table(["modality", "bands", *BY_HAND_OF_INPUTS, "normalisation"], rows)
    yield from (
        "",
        "Give pixels as they are, in this unit: the normalisation is part of the model, fitted on its",
        "training pixels and kept with its weights.",
    )


def _use(name: str, card: Mapping[str, Any]) -> Iterator[str]:
    if card["weights"] is None:
        yield from ("Train it, on data of your own copy:", "")
        yield from code_block([card["no_weights"]["command"]], "bash")
        yield from ("", "The network without weights:", "")
        build = f'model = get_model("{name}", pretrained=False)'
        yield from code_block(["from m3amba_zoo import get_model", "", build], "python")
        return
    rasters = " ".join(f"--raster {modality}={modality}.tif" for modality in card["modalities"])
    get = f"m3amba download get {name} --mirror URL  # not in a checkout, which has the weights"
    yield from code_block([get, f"m3amba predict {name} {rasters} --out map.tif"], "bash")
    yield ""
    inputs = ", ".join(f'"{modality}": "{modality}.tif"' for modality in card["modalities"])
    predict = f'Predictor("{name}").predict({{{inputs}}}).save("map.tif")'
    build = f'model = get_model("{name}")  # the network, to go on with'
    yield from code_block(["from m3amba_zoo import Predictor, get_model", "", predict, build], "python")


def _weights(files: CardFiles, card: Mapping[str, Any]) -> Iterator[str]:
    licence = card["licence"]
    licence = f"Licence: weights {escape(licence['weights'])}; data: {escape(licence['data'])}"
    if files.trained is None:
        yield from (_sentence(f"None: {escape(card['no_weights']['reason'])}"), "", _sentence(licence))
        return
    weights, origin = card["weights"], card["provenance"]
    shipped, golden = files.trained.shipped, card["golden"]
    reproduced = f"a fixed input and its logits, reproduced within {golden['tolerance']:g}"
    versions = ", ".join(f"{package} {version}" for package, version in origin["versions"].items())
    rows = [
        ("file", code(weights["file"])),
        ("size", f"{weights['size']:,} bytes"),
        ("sha256", code(weights["sha256"])),
        ("parameters", f"{weights['parameters']:,} ({escape(shipped['model']['type'])})"),
        ("CLIP encoder", escape(shipped["model"].get("clip", "none"))),
        ("seed", str(weights["seed"])),
        ("golden pair", f"{code(golden['file'])}: {reproduced}"),
        ("trained by", code(origin["command"])),
        ("commit", code(origin["commit"] or "")),
        ("machine", escape(origin["machine"])),
        ("hours, all seeds", f"{origin['hours']:g}"),
        ("versions", code(versions)),
    ]
    yield from table(["", ""], rows)
    yield from ("", _sentence(licence))


def _accuracy(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
