"""Classical classifiers that were fitted: kept in a file without pickled objects, and read as models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.baselines.classical import PixelClassifier, SpectralClassifier, log_probabilities
from m3amba_zoo.models.patch_classifier import PatchClassifier
from m3amba_zoo.models.window_classifier import FUSED
from m3amba_zoo.reading import check_schema, library_errors, read_json
from m3amba_zoo.registry import CLASSIFIERS
from m3amba_zoo.system import whole_file

FILE = "classifier.safetensors"
ABOUT = {
    "type": "object",
    "required": ["classifier", "in_channels", "num_classes"],
    "properties": {
        "classifier": {"type": "string"},
        "in_channels": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "integer", "minimum": 1},
        },
        "num_classes": {"type": "integer", "minimum": 1, "maximum": 255},
    },
}
"""What the file says of the classifier (JSON Schema)."""
TILE = 64  # pixels: rows and columns that a KeptClassifier classifies at a time


class KeptClassifier(PatchClassifier):
    """A fitted classical classifier as a model: raw bands in, logarithms of probabilities out, on the CPU.

    At the border of a raster a ``mean`` takes in mirrored pixels, where the maps of a training's test leave
    out what lies beyond.

    Args:
        classifier: fitted, or restored.
        in_channels: bands by modality, as the scenes held them.
        num_classes: K.
    """

    def __init__(
        self, classifier: SpectralClassifier, in_channels: Mapping[str, int], num_classes: int
    ) -> None:
        super().__init__(in_channels, num_classes, classifier.window, modalities=classifier.modalities)
        self.classifier = classifier

    def logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return logits ``(B, K, T, T)`` of inputs ``(B, C_m, T + 2 margin, T + 2 margin)``."""
        found = []
        given = {m: inputs[m].float().cpu().numpy() for m in self.in_channels}
        for bands in zip(*given.values(), strict=True):
            pixels = self.classifier.spectra.of_window(dict(zip(given, bands, strict=True)))
            scores = log_probabilities(self.classifier.of_pixels(pixels, self.num_classes))
            side = bands[0].shape[-1] - 2 * self.margin
            found.append(scores.T.reshape(-1, side, side))
        return {FUSED: torch.from_numpy(np.stack(found)).to(next(iter(inputs.values())).device)}

    def patch_logits(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return logits ``(N, K)`` of patches."""
        return {stream: scores[:, :, 0, 0] for stream, scores in self.logits(inputs).items()}


def keep(classifier: PixelClassifier, path: Path, in_channels: Mapping[str, int], num_classes: int) -> bool:
    """Write a fitted classifier to a file.

    Returns:
        Whether it was written: not every classifier can be kept.

    Raises:
        InputError: if the file cannot be written.
    """
    state = classifier.state()
    if state is None:
        return False
    about = {
        "classifier": type(classifier).__name__,
        "in_channels": dict(in_channels),
        "num_classes": num_classes,
    }
    arrays = {name: np.ascontiguousarray(value) for name, value in state.items()}
    with whole_file(path) as aside:
        aside.write_bytes(save(arrays, {"about": json.dumps(about)}))
    return True


def read_kept(path: Path, config: Mapping[str, Any]) -> KeptClassifier:
    """Read a classifier that ``keep`` wrote.

    Args:
        path: of the file.
        config: the classifier's, as its training had it.

    Raises:
        InputError: if the file is absent, damaged or of another classifier.
    """
    unfit = "damaged, or not the classifier of this config"
    with library_errors(path, unfit), safe_open(path, "np") as file:
        said = (file.metadata() or {}).get("about", "")
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    about = read_json(path, unfit, said.encode())
    check_schema(about, ABOUT, path)
    in_channels, num_classes = about["in_channels"], about["num_classes"]
    classifier = CLASSIFIERS.build(dict(config), default_args={"modalities": list(in_channels)})
    if about["classifier"] != type(classifier).__name__:
        raise InputError(
            f"{path}: holds a {about['classifier']}, but the config has a {type(classifier).__name__}"
        )
    try:
        classifier.restore(state, in_channels)
    except (ValueError, KeyError, RuntimeError) as error:  # as it says of arrays of another classifier
        raise InputError(f"{path}: {unfit}") from error
    return KeptClassifier(classifier, in_channels, num_classes)
