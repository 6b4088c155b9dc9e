"""Small networks of every class in ``models.baselines``; models join by being registered."""

import inspect

import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import PatchClassifier, WindowClassifier
from m3amba_zoo.registry import MODELS

PACKAGE = "m3amba_zoo.models.baselines."
CLASSES = {
    name: kind
    for name in MODELS.names()
    if (kind := MODELS.get(name)).__module__.startswith(PACKAGE) and issubclass(kind, WindowClassifier)
}
SIDES = {"patch": [1, 5, 11], "window": [8, 16]}
ONLY = {"EndNet": [1]}  # models of one size
GIVEN = {  # what a model cannot do without
    "BackboneClassifier": {
        "backbone": {
            "type": "mmpretrain.ResNet_CIFAR",
            "depth": 18,
            "stem_channels": 8,
            "base_channels": 8,
            "out_indices": (0, 1, 2, 3),
        }
    }
}
SMALL = {"width": 0.125}  # where a model has the option, so that the battery takes seconds


def sizes(name):
    """Return the sides of patches or windows to try a model with; None where it takes any window."""
    known = inspect.signature(CLASSES[name]).parameters
    return ONLY.get(name) or next((SIDES[size] for size in SIDES if size in known), [None])


def build(name, in_channels, side=None, num_classes=3, **options):
    """Build a small model with patches or windows of ``side``; skip the bands that it refuses."""
    known = inspect.signature(CLASSES[name]).parameters
    config = {"type": name, "in_channels": in_channels, "num_classes": num_classes, **GIVEN.get(name, {})}
    for size in SIDES.keys() & known.keys():
        config[size] = sizes(name)[-1] if side is None else side
    config |= {option: value for option, value in SMALL.items() if option in known} | options
    torch.manual_seed(0)
    try:
        return MODELS.build(config)
    except InputError as error:
        pytest.skip(str(error))


def inputs_of(model, batch=3, pixels=1, seed=1):
    """Return inputs for ``pixels`` x ``pixels`` logits, or of the window (else 16) of a dense model."""
    side = pixels + 2 * model.margin if isinstance(model, PatchClassifier) else getattr(model, "window", 16)
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(batch, n, side, side, generator=generator) for m, n in model.in_channels.items()}


def trained(model):
    """Give batch norms the statistics of some inputs, without which deep networks fade in evaluation."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean over all that is seen
    with torch.no_grad():
        seen = {"inputs": inputs_of(model, batch=8, seed=2)}
        model.train()(model.data_preprocessor(seen, training=True)["inputs"])
    return model.eval()
