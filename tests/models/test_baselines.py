"""One battery over every baseline network; models join it by being registered in ``models.baselines``."""

import inspect

import pytest
import torch
from tiny_networks import CLASSES, build, inputs_of, sizes, trained

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS

BANDS = [
    {"hsi": 37, "lidar": 1},
    {"s2": 12, "s1": 2},
    {"hsi": 8, "sar": 4},
    {"opt": 4, "dem": 1, "therm": 1},
    {"hsi": 20},
    {"lidar": 1},
]
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
