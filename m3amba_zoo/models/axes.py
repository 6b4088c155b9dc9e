"""A network declares which of its layers read bands, give one value per band, or end in classes.

With this its weights can start a network for another sensor or other classes (``m3amba_zoo.transfer``). It
also marks the parameters that weight decay leaves alone. A model marks its layers where it builds them::

    self.embed = reads_bands(nn.Conv2d(bands, 64, 1), "hsi")
    self.head = writes_classes(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, num_classes)))
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

LAYERS = (nn.Linear, _ConvNd)
NORMS = (_NormBase, nn.LayerNorm)
OWN = ""  # stands for the modality whose name the part of the network has
MARK, NO_DECAY = "declared_axes", "no_weight_decay"
Part = TypeVar("Part", bound=nn.Module)


class Axis(NamedTuple):
    """One axis of a tensor.

    Attributes:
        dim: its index.
        modalities: the modalities whose bands lie along it, in order; empty if classes do.
        reads: True if the layer sums over the axis, False if it gives one value per band or class.
    """

    dim: int
    modalities: tuple[str, ...]
    reads: bool


def reads_bands(part: Part, *modalities: str) -> Part:
    """Declare that the first linear layer or convolution of a part reads bands.

    Args:
        part: a layer, or a module that contains it; it is returned.
        modalities: whose bands, in order. Without any: those of the modality that names the part in the
            network, as in ``adapters.hsi.proj``.
    """
    layer = next(module for module in part.modules() if isinstance(module, LAYERS))
    dim = 0 if isinstance(layer, _ConvTransposeNd) else 1
    _mark(layer, "weight", Axis(dim, modalities or (OWN,), reads=True))
    return part


def writes_bands(part: Part, *modalities: str) -> Part:
    """Declare that the last layer or norm of a part gives one value per band; else as ``reads_bands``."""
    _mark_outputs(part, modalities or (OWN,))
    return part


def writes_classes(part: Part) -> Part:
    """Declare that the last layer or norm of a part gives one value per class, and return the part."""
    _mark_outputs(part, ())
    return part


def declared_axes(model: nn.Module, modalities: Collection[str]) -> dict[str, tuple[Axis, ...]]:
    """Return the declared axes of a network for these modalities, by name of parameter or buffer."""
    found = {}
    for name, layer in model.named_modules(remove_duplicate=False):
        own = next((word for word in name.split(".") if word in modalities), OWN)
        for leaf, marks in getattr(layer, MARK, {}).items():
            axes = [axis._replace(modalities=tuple(m or own for m in axis.modalities)) for axis in marks]
            # without a modality in its name nobody knows whose bands the part reads
            found[f"{name}.{leaf}".lstrip(".")] = tuple(axis for axis in axes if OWN not in axis.modalities)
    return found


def _mark_outputs(part: nn.Module, modalities: tuple[str, ...]) -> None:
    *_, layer = (module for module in part.modules() if isinstance(module, LAYERS + NORMS))
    for leaf, value in layer.state_dict().items():
        if value.ndim:  # a norm's count of batches has no axis
            dim = 1 if isinstance(layer, _ConvTransposeNd) and leaf == "weight" else 0
            _mark(layer, leaf, Axis(dim, modalities, reads=False))


def _mark(layer: Any, leaf: str, axis: Axis) -> None:
    marks = getattr(layer, MARK, {})
    setattr(layer, MARK, {**marks, leaf: (*marks.get(leaf, ()), axis)})


def undecayed(parameter: nn.Parameter) -> nn.Parameter:
    """Mark a parameter of two or more dimensions that weight decay is to leave alone, and return it.

    Such are the scan's A_log and D (the mark has this name in Mamba's code, too), its biases of several
    directions, class tokens and position embeddings.
    """
    setattr(parameter, NO_DECAY, True)
    return parameter


def decays(parameter: nn.Parameter) -> bool:
    """Return whether weight decay acts: not on norms and biases, of one dimension, nor on marked ones."""
    return parameter.ndim > 1 and not getattr(parameter, NO_DECAY, False)
