"""One battery over every baseline network; models join it by being registered in ``models.baselines``."""

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
BANDS = [
    {"hsi": 37, "lidar": 1},
    {"s2": 12, "s1": 2},
    {"hsi": 8, "sar": 4},
    {"opt": 4, "dem": 1, "therm": 1},
    {"hsi": 20},
    {"lidar": 1},
]
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
HOUSTON = {"in_channels": {"hsi": 144, "lidar": 1}, "num_classes": 15}
# Millions of parameters: the paper's where it states them, else those of the docstring; and for what.
PARAMETERS = {
    "EndNet": (HOUSTON, 0.092),
    "ExViT": (HOUSTON, 0.310),
    "FusAtNet": (HOUSTON, 38.1),
    "MFT": (HOUSTON, 0.404),
    "MSFMamba": ({"in_channels": {"hsi": 30, "sar": 4}, "num_classes": 7}, 1.565),
    "MambaHSI": (HOUSTON, 0.129),
    "S2ENet": (HOUSTON, 0.271),
    "SpectralFormer": (HOUSTON, 0.109),
    "TwoBranchCNN": (HOUSTON, 4.86),
}


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
        model.train()(inputs_of(model, batch=8, seed=2))
    return model.eval()


@pytest.mark.parametrize("bands", BANDS, ids=lambda bands: "+".join(map(str, bands.values())))
@pytest.mark.parametrize("name", CLASSES)
def test_a_step_gives_logits_and_a_gradient_to_every_parameter(name, bands):
    model = build(name, bands).train()
    x = inputs_of(model, batch=4)
    labels = torch.randint(1, 4, (4, *next(iter(x.values())).shape[2:]), generator=torch.Generator())
    losses = model(x, mode="loss", labels=labels)
    total = sum(losses.values())
    assert total.isfinite()
    assert total > 0
    total.backward()
    without = [
        parameter
        for parameter, value in model.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.isfinite().all())
    ]
    assert not without
    # zero gradients are those of biases before a batch norm, or of ReLUs that are off for these few pixels
    reached = [value.grad.abs().max() > 0 for value in model.parameters() if value.requires_grad]
    assert sum(reached) > len(reached) / 2


@pytest.mark.parametrize(("name", "side"), [(name, side) for name in CLASSES for side in sizes(name)])
def test_any_size_gives_a_map_that_is_the_same_every_time_and_in_any_batch(name, side):
    model = trained(build(name, {"hsi": 9, "lidar": 1}, side))
    x = inputs_of(model, batch=3, pixels=2)
    with torch.no_grad():
        whole = model(x)["fused"]
        assert torch.equal(model(x)["fused"], whole)
        alone = torch.cat([model({m: w[i : i + 1] for m, w in x.items()})["fused"] for i in range(3)])
    inner = next(iter(x.values())).shape[-1] - 2 * model.margin
    assert whole.shape == (3, 3, inner, inner)
    assert whole.isfinite().all()
    torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-4)
    assert whole.flatten().unique().numel() > 3, "the logits depend on the pixels"


@pytest.mark.parametrize("name", CLASSES)
def test_each_modality_that_a_model_reads_matters(name):
    model = trained(build(name, {"hsi": 9, "lidar": 2}))
    x = inputs_of(model)
    with torch.no_grad():
        logits = model(x)["fused"]
        for modality in x:
            other = model({**x, modality: x[modality] + 1})["fused"]
            reads = modality in getattr(model, "read", x)  # networks for one modality say which
            assert torch.allclose(other, logits, atol=1e-6) != reads, modality


@pytest.mark.parametrize("name", CLASSES)
def test_the_docstring_names_the_paper_and_the_deviations(name):
    text = inspect.getdoc(CLASSES[name])
    for part in ("Paper:", "Deviations:", "Args:", "arameters"):
        assert part in text, part


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_network_has_the_stated_number_of_parameters(name):
    config, millions = PARAMETERS[name]
    model = MODELS.build({"type": name, **config})
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_endnet_reads_pixels_and_reconstructs_them():
    with pytest.raises(InputError, match="EndNet classifies single pixels: patch is 3, expected 1"):
        MODELS.build({"type": "EndNet", "in_channels": {"hsi": 4}, "num_classes": 3, "patch": 3})
    model = build("EndNet", {"hsi": 4}).eval()
    x = inputs_of(model)
    losses = model(x, mode="loss", labels=torch.ones(3, 1, 1, dtype=torch.int64))
    code = model._code(x)
    expected = (model.decoders["hsi"](code) - x["hsi"][:, :, 0, 0]).square().mean()
    torch.testing.assert_close(losses["loss_reconstruct_hsi"], expected)
