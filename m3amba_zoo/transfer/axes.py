"""Which axes of a network's tensors run over a modality's bands or over the classes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.registry import MODELS

# By how much the network of comparison is larger; sums of a modality's step, 16 times a power of two, with
# others' tell which of them an axis holds side by side.
CLASS_STEP, BAND_STEP = 7, 16
FITTED = ("data_preprocessor.", "posterior.")  # never by gradients


class Axis(NamedTuple):
    """An axis of a tensor.

    Attributes:
        dim: which.
        modalities: whose bands lie along it, in order; none where classes do.
        reads: whether the layer sums over it; else it gives one value for each band or class.
    """

    dim: int
    modalities: tuple[str, ...]
    reads: bool


def network_axes(model: WindowClassifier, config: Mapping[str, Any]) -> dict[str, tuple[Axis, ...]]:
    """Find the axes by comparing a model with one of more bands and classes, whatever its architecture.

    Args:
        model: as built from the config.
        config: the model's.

    Returns:
        By name of parameter or buffer. An axis is known where it has one entry a band that the network
        reads (after pretreatment) or a class, and belongs to a linear layer, a convolution or a norm.
    """
    modalities = list(model.treated_channels)
    steps = {m: BAND_STEP << k for k, m in enumerate(modalities)}
    more_bands = {m: n + steps[m] for m, n in model.treated_channels.items()}
    larger = _build_larger(config, more_bands, model.num_classes + CLASS_STEP)
    found = {}
    for name, value in model.state_dict().items():
        if name.startswith(FITTED) or name not in larger or larger[name].ndim != value.ndim:
            continue
        axes = []
        for index, (size, grown) in enumerate(zip(value.shape, larger[name].shape, strict=True)):
            held = tuple(m for m in modalities if (grown - size) & steps[m])
            of_classes = grown - size == CLASS_STEP and size == model.num_classes
            of_bands = grown - size == sum(steps[m] for m in held) and size == sum(
                model.treated_channels[m] for m in held
            )
            reads = _reads(model, name, index)
            if grown != size and (of_classes or of_bands) and reads is not None:
                axes.append(Axis(index, () if of_classes else held, reads))
        if axes:
            found[name] = tuple(axes)
    return found


def _build_larger(
    config: Mapping[str, Any], in_channels: dict[str, int], num_classes: int
) -> dict[str, torch.Tensor]:
    """Return the tensors of the same network with these bands and classes."""
    changed = copy.deepcopy(dict(config))
    changed.update(in_channels=in_channels, num_classes=num_classes)
    changed.pop("data_preprocessor", None)  # the bands given are those that the network reads
    changed.pop("posterior", None)
    if "weights" in (changed.get("encoder") or {}):
        changed["encoder"] = {**changed["encoder"], "weights": "random"}  # nothing is fetched or read for it
    with torch.random.fork_rng(devices=[]):
        return MODELS.build(changed).state_dict()


def _reads(model: nn.Module, name: str, index: int) -> bool | None:
    """Whether a tensor's layer sums over an axis; None where that is not known."""
    prefix, _, leaf = name.rpartition(".")
    owner = model.get_submodule(prefix)
    if isinstance(owner, (_NormBase, nn.LayerNorm)) or (leaf == "bias" and isinstance(owner, _LAYERS)):
        return False if index == 0 else None
    if leaf == "weight" and isinstance(owner, _LAYERS) and index in (0, 1):
        return index == (0 if isinstance(owner, _ConvTransposeNd) else 1)
    return None


_LAYERS = (nn.Linear, _ConvNd)
