"""How ``m3amba new scene`` decides: from the files to a window, a split and the size of a training.

The config is tried before it is written.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from m3amba_zoo.cli.new import NO_SPLIT, OF_SCENES
from m3amba_zoo.cli.new_scene_report import (
    print_classes,
    print_files,
    print_left_out,
    print_split,
    print_training,
)
from m3amba_zoo.cli.output import print_line
from m3amba_zoo.cli.predict import raster_requests
from m3amba_zoo.cli.split import given_options, print_audit
from m3amba_zoo.config import read_config
from m3amba_zoo.config.own_config import Recipe, Training, config_text, read_recipe, size_training
from m3amba_zoo.config.reading import CONFIG_FILE, SCENE_FILE, SPLIT_FILE
from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.models import WindowClassifier
from m3amba_zoo.registry import MODELS
from m3amba_zoo.scenes.label_request import LabelRequest, parse_labels
from m3amba_zoo.scenes.manifest import Manifest
from m3amba_zoo.scenes.new_scene import (
    FoundScene,
    NewScenes,
    join_scenes,
    leave_out_constant_bands,
    manifest_of,
    manifest_text,
    read_scene,
)
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits import Split, audit, build_split
from m3amba_zoo.splits.fitting import (
    BlockSplit,
    find_undivided,
    fit_blocks,
    patch_width,
    suitable_windows,
)
from m3amba_zoo.splits.makers import TEST_FRACTION
from m3amba_zoo.splits.stratify import require_share
from m3amba_zoo.system import whole_folder

LABEL_OPTIONS = ("attribute", "layer", "crs", "radius", "touched", "skip_invalid", "align")


class Decided(NamedTuple):
    """A split, the side of the training windows, and the reasons, for people."""

    split: Split
    window: int
    window_reason: str
    split_options: dict[str, Any]


def make_scene(args: argparse.Namespace, given: Sequence[tuple[str | None, argparse.Namespace]]) -> None:
    """Make the folder of a scene, or of several.

    Args:
        args: the options of the whole.
        given: the name of each scene (None: the folder's) and its options.

    Raises:
        InputError: if a file or an option is wrong, the files do not fit together, a class cannot both train
            and test, or the folder exists.
    """
    folder = _new_folder(args.name)
    wanted = [(name or folder.name, *_files_of(name, options)) for name, options in given]
    recipe = None if args.split == NO_SPLIT else read_recipe(args.model)
    found: list[FoundScene] = []
    for name, requests, labels in wanted:
        found.append(read_scene(name, requests, labels, found[0] if found else None, len(wanted) == 1))
        print_files(found[-1])
    joined = join_scenes(found)
    print_classes(joined, found)
    title = f"Written by m3amba new {shlex.join(args.arguments)}".replace("\n", " ")
    if recipe is None:
        _write(folder, folder_shown(args.name), {SCENE_FILE: _manifest(found, joined, folder, title)})
        print_line(f"next: m3amba test MODEL --scene {folder_shown(args.name)}/{SCENE_FILE}")
        return
    decided = _decide(args, recipe, joined, found)
    scenes = list(joined.scenes)
    print_split(decided.split, decided.window, decided.window_reason, scenes)
    masks = {scene.name: mask for scene, mask in decided.split.parts(scenes, "train")}
    found, left_out = leave_out_constant_bands(found, masks)
    print_left_out(left_out)
    training = _size(args, recipe, decided, scenes)
    bands = {name: _count(found[0], name) for name in found[0].requests}
    print_training(recipe, training)
    texts = {
        SCENE_FILE: _manifest(found, joined, folder, title),
        CONFIG_FILE: _config(args, recipe, decided, training, bands, scenes, folder.name),
    }
    sized = any((args.window, args.batch_size, args.windows_per_epoch))
    absolute = manifest_text(manifest_of(found, joined), title)
    require_trains(recipe, texts[CONFIG_FILE], (SCENE_FILE, absolute), training, sized)
    print_audit(audit(decided.split, scenes, decided.window))
    shown = folder_shown(args.name)
    _write(folder, shown, texts, decided.split, scenes)
    print_line(f"next: m3amba train {shown}/{CONFIG_FILE}")
    if not recipe.classical:
        print_line(f"  or, in seconds, a linear classifier to compare with: m3amba train lda --data {shown}")
    rasters = " ".join(f"--raster {name}=..." for name in bands)
    print_line(f"then: m3amba predict work_dirs/{shlex.quote(folder.name)} {rasters} --out map.tif")


def folder_shown(name: str) -> str:
    """Return a folder as commands name it."""
    return shlex.quote(name.rstrip("/") or name)


def _new_folder(name: str) -> Path:
    """Return the folder to make.

    Raises:
        InputError: if it holds files, or its name or path will not do in a config.
    """
    folder = Path(os.path.abspath(name))
    if set(str(folder)) & set("\\'\"{}"):  # MMEngine puts the path between quotes
        raise InputError(f"{folder}: a path without backslashes, quotes and braces is expected")
    if not re.fullmatch(r"[\w][\w.+ -]*", folder.name):
        raise InputError(f"{name}: cannot name a scene; letters, digits, '-', '_', '.' and '+' are expected")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{name}: is a file; the name of a new folder is expected")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{name}: exists and is not empty; nothing is overwritten, another name is expected")
    return folder


def _files_of(name: str | None, options: argparse.Namespace) -> tuple[dict[str, Any], LabelRequest]:
    """Return the rasters and the labels of a scene.

    Raises:
        InputError: if one is missing, or an option is wrong.
    """
    where = f"scene '{name}': " if name else ""
    for option in ("raster", "labels"):
        if not getattr(options, option):
            raise InputError(f"{where}--{option} is missing; rasters and labels of a scene are expected")
    requests = raster_requests(options, OF_SCENES)
    for modality in requests:
        if not re.fullmatch(r"[A-Za-z]\w*", modality):
            raise InputError(
                f"{where}--raster: '{modality}' cannot name a modality; letters, digits and '_' are expected"
            )
    if options.grid is not None:
        if options.grid not in requests:
            raise InputError(f"{where}--grid: '{options.grid}', expected one of {', '.join(requests)}")
        requests[options.grid] = replace(requests[options.grid], grid=True)
    labels = parse_labels(
        options.labels,
        unlabelled=options.unlabelled,
        **{name: getattr(options, "align_labels" if name == "align" else name) for name in LABEL_OPTIONS},
    )
    return requests, labels


def _decide(
    args: argparse.Namespace, recipe: Recipe, joined: NewScenes, found: Sequence[FoundScene]
) -> Decided:
    scenes = list(joined.scenes)
    windows, reason = _windows(args, recipe, scenes)
    options = given_options(args)
    names = [entry.name for entry in joined.classes]
    for name in args.untested:
        if name not in names:
            hint = close_names(name, names) or f"the classes are {', '.join(names)}"
            raise InputError(f"--untested: no class is named '{name}'; {hint}")
    if args.split != "blocks":
        cfg = {"type": args.split, **options}
        if Path(args.split).suffix == ".npz":
            cfg = {"type": "file", "path": args.split, **options}
        return Decided(build_split(cfg, scenes), windows[0], reason, cfg)
    if unknown := set(options) - {"size", "guard", "seed", "test_fraction", "step"}:
        raise InputError(f"--{min(unknown).replace('_', '-')}: split 'blocks' has no such option")
    guard = options.get("guard")
    require_share("test_fraction", options.get("test_fraction", TEST_FRACTION))
    # a step thins out the test part in the end
    fitted = {name: value for name, value in options.items() if name != "step"}
    made = fit_blocks(scenes, windows, untested=args.untested, **fitted)
    if lacking := find_undivided(scenes, made, args.untested):
        raise InputError(_refusal(lacking, made, joined, found))
    if made.window != windows[0]:
        reason = f"{windows[0]} would cost some class too many pixels, by the guard between training and test"
    reason += "; the guard between training and test is half of it" * (guard is None)
    cfg = {"type": "blocks", **options, "size": made.size, "guard": made.guard}
    return Decided(build_split(cfg, scenes), made.window, reason, cfg)


def _windows(args: argparse.Namespace, recipe: Recipe, scenes: Sequence[Scene]) -> tuple[list[int], str]:
    """Return the windows to try, and the reason for the first."""
    smallest = min(min(scene.shape) for scene in scenes)
    if recipe.window:
        if args.window:
            raise InputError(f"--window: {recipe.name} reads patches of {recipe.window} pixels, leave it out")
        return [recipe.window], "the patch of this model"
    if args.window is not None:
        if not 1 <= args.window <= smallest:
            raise InputError(
                f"--window is {args.window}; 1 to {smallest} pixels, the scene's side, are expected"
            )
        return [args.window], "as asked for"
    width = patch_width(scenes)
    return suitable_windows(scenes), f"the labelled patches are about {width} pixels wide"


def _refusal(lacking: Sequence[Any], made: BlockSplit, joined: NewScenes, found: Sequence[FoundScene]) -> str:
    """Say which classes cannot be divided, and what to do."""
    first = next(entry for entry in joined.classes if entry.name == lacking[0].name)
    value = f"{first.value:g}" if isinstance(first.value, float) else str(first.value)
    labels = found[0]
    others = [] if labels.labels.is_by_name else [f"{one:g}" for one in labels.found.unlabelled or (0,)]
    return (
        f"class {', '.join(map(str, lacking))} cannot train and test {made.guard} pixels apart; "
        f"label it in more places, leave it out (--unlabelled {shlex.join([*others, value])}), let it train "
        f"without a test (--untested {shlex.quote(first.name)}), or try a smaller --window than {made.window}"
    )


def _count(scene: FoundScene, modality: str) -> int:
    bands = scene.requests[modality].bands
    return len(scene.rasters[modality].header.data) if bands is None else len(bands)


def _size(
    args: argparse.Namespace, recipe: Recipe, decided: Decided, scenes: Sequence[Scene]
) -> Training | None:
    given = {
        "epochs": args.epochs,
        "windows_per_epoch": args.windows_per_epoch,
        "batch_size": args.batch_size,
    }
    for option, value in given.items():
        if value is not None and (recipe.classical or value < 1):
            wanted = f"leave it out, {recipe.name} is fitted at once" if recipe.classical else "1 or more"
            raise InputError(f"--{option.replace('_', '-')} is {value}; {wanted}")
    if recipe.classical:
        return None
    shown = 1.0
    if not recipe.window:
        masks = [mask for _, mask in decided.split.parts(scenes, "train")]
        around = [
            ndimage.uniform_filter(mask.astype(np.float32), decided.window, mode="constant") for mask in masks
        ]
        counts = np.concatenate([near[mask] for near, mask in zip(around, masks, strict=True)])
        shown = float(counts.mean()) * decided.window**2
    classes = len(scenes[0].classes)
    training = size_training(recipe, decided.window, decided.split.count("train"), shown, classes)
    return training.changed(args.batch_size, args.windows_per_epoch, args.epochs)


def _config(
    args: argparse.Namespace,
    recipe: Recipe,
    decided: Decided,
    training: Training | None,
    bands: dict[str, int],
    scenes: Sequence[Scene],
    name: str,
) -> str:
    options = " ".join(
        f"--{key.replace('_', '-')} {shlex.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in decided.split_options.items()
        if key not in ("type", "path")
    )
    maker = decided.split_options.get("path", decided.split_options["type"])
    shown = folder_shown(args.name)
    pixels = {part: decided.split.count(part) for part in ("train", "test")}
    comment = [
        f"{decided.split.name}: {pixels['train']:,} training and {pixels['test']:,} test pixels.",
        "A file, so that all trainings have the same test pixels. After a change of the labels make it anew:",
        f"m3amba split make {shown}/{SCENE_FILE} --split {maker} {options} --out {shown}/{SPLIT_FILE}",
    ]
    modalities = ", ".join(f"{m} with {count} band{'s' * (count != 1)}" for m, count in bands.items())
    title = f"{recipe.name} on {name}: {modalities}; {len(scenes[0].classes)} classes."
    return config_text(
        recipe,
        name,
        title,
        comment,
        bands,
        decided.window,
        f"side in pixels: {decided.window_reason}",
        training,
        pixels["train"],
    )


def _manifest(found: Sequence[FoundScene], joined: NewScenes, folder: Path, title: str) -> str:
    """Return the text of ``scene.yaml``, checked as training will read it."""
    # with absolute paths, because the folder that relative ones start from is not there yet
    try:
        Manifest(folder / SCENE_FILE, manifest_of(found, joined))
    except InputError as error:  # of a file that is not there yet
        raise InputError(str(error).removeprefix(f"{folder / SCENE_FILE}: ")) from error
    return manifest_text(manifest_of(found, joined, folder), title)


def _write(
    folder: Path,
    shown: str,
    texts: dict[str, str],
    split: Split | None = None,
    scenes: Sequence[Scene] = (),
) -> None:
    """Write the files of the folder, all or none."""
    with whole_folder(folder) as aside:
        for name, text in texts.items():
            (aside / name).write_text(text, encoding="utf-8")
        if split is not None:
            split.save(aside / SPLIT_FILE, scenes)
    files = [*texts, *([SPLIT_FILE] if split is not None else [])]
    print_line(f"wrote {', '.join(files)} to {shown}")


def require_trains(
    recipe: Recipe, config_text: str, manifest: tuple[str, str], training: Training | None, sized: bool
) -> None:
    """Complete the config, build its network, and let it see the smallest batch of the training.

    A network with an encoder is not built: its weights may be elsewhere.

    Args:
        recipe: that the config inherits from.
        config_text: the config.
        manifest: name and text of the scene's file, with absolute paths.
        training: its size; None for a classical classifier.
        sized: whether a user stated some of its size; what the recipe says is known to train.

    Raises:
        InputError: if it cannot be completed or built, or the network cannot learn from such a batch.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, CONFIG_FILE)
        path.write_text(config_text, encoding="utf-8")
        Path(folder, manifest[0]).write_text(manifest[1], encoding="utf-8")
        try:
            config = read_config(path)
            if training is None or config.model.get("encoder") is not None:
                return
            model = MODELS.build(config.model)
            if sized and isinstance(model, WindowClassifier):
                windows = training.windows % training.batch or training.batch
                _see(model, windows, config.train_dataloader.dataset.window)
        except InputError as error:
            raise InputError(f"--model {recipe.name}: {str(error).replace(f'{path}: ', '')}") from error


def _see(model: WindowClassifier, windows: int, side: int) -> None:
    """Run a network on so many windows of noise, as training does."""
    noise = {name: torch.randn(windows, bands, side, side) for name, bands in model.treated_channels.items()}
    try:
        with torch.no_grad():
            model.train()(noise)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's words
            raise
        raise InputError(
            "a batch has one window, but batch norm needs two; expected a --batch-size and "
            "--windows-per-epoch that leave no single one"
        ) from error
