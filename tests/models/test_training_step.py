"""A training step of every network: what it trains gets a gradient, and what it reads is what it says.

Processes that train together wait for the gradient of every trained parameter; none may be without a reader.
"""

import itertools
from pathlib import Path

import pytest
import torch

from m3amba_zoo.config import read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import StreamLoss
from m3amba_zoo.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
CLIP = {
    "type": "ClipImageEncoder",
    "name": str(CONFIGS / "_base_/models/small_image_tower.json"),
    "weights": "random",
}
NETWORKS = sorted(
    path.stem for path in (CONFIGS / "baselines").glob("*.py") if "classifier" not in path.read_text()
)
TWO, ONE = {"hsi": 5, "lidar": 1}, {"hsi": 5}
CONVNEXT = {
    "type": "mmpretrain.ConvNeXt",
    "arch": {"depths": [1, 1], "channels": [8, 16]},
    "stem_patch_size": 1,
    "gap_before_final_norm": False,
}


def m3amba_of(bands, fusion="cross", encoder=None, **loss):
    return {
        "type": "M3amba",
        "in_channels": bands,
        "num_classes": 3,
        "embed_dim": 16,
        "window": 8,
        "adapter": {"type": "ClipAdapter"},
        "neck": {"type": "CrossMamba", "depth": 2, "d_state": 4, "fusion": fusion},
        "encoder": encoder,
        "loss": {"type": "StreamLoss", **loss},
    }


def gradients(model, labelled):
    """Return each trained parameter's gradient, or None, after a step on windows with or without labels."""
    side = getattr(model, "patch", 8)
    generator = torch.Generator().manual_seed(0)
    inputs = {
        m: torch.randn(4, n, side, side, generator=generator) for m, n in model.treated_channels.items()
    }
    labels = torch.randint(1, model.num_classes + 1, (4, side, side), generator=generator)
    model.zero_grad()
    sum(model.train()(inputs, mode="loss", labels=labels * labelled).values()).backward()
    return {name: value.grad for name, value in model.named_parameters() if value.requires_grad}


def assert_a_step_is_as_declared(model, transductive):
    without = [name for name, gradient in gradients(model, labelled=True).items() if gradient is None]
    assert not without
    read = any(x.abs().max() > 0 for x in gradients(model, labelled=False).values())
    assert read == model.transductive == transductive


@pytest.mark.parametrize("recipe", NETWORKS)
def test_baselines_as_they_are_shipped(recipe):
    small = ["source.height=64", "source.width=128", "source.bands=36"]
    config = read_config(CONFIGS / f"baselines/{recipe}.py", "simulated_houston", small)
    assert_a_step_is_as_declared(MODELS.build(config.model), transductive=False)


@pytest.mark.parametrize("encoder", [None, CLIP], ids=["no encoder", "encoder"])
@pytest.mark.parametrize("bands", [TWO, ONE], ids=["two", "one"])
@pytest.mark.parametrize(
    "loss", [{}, {"streams": 0.0}, {"consistency": 0.1}, {"streams": 0.0, "consistency": 0.1}], ids=str
)
def test_m3amba_and_its_losses(bands, encoder, loss):
    model = MODELS.build(m3amba_of(bands, encoder=encoder, **loss))
    assert_a_step_is_as_declared(model, transductive="consistency" in loss)
    assert ("hsi" in model.heads) == (loss != {"streams": 0.0}), "no head that the loss does not read"
    built = {name.split(".")[2] for name in model.state_dict() if name.startswith("adapters.hsi")}
    assert built == {"token_embed"} | (
        {"pseudo_rgb", "prior_map", "prior_bands", "prior_embed"} if encoder else set()
    )


@pytest.mark.parametrize(("fusion", "bands"), itertools.product(["sum", "concat"], [TWO, ONE]))
def test_m3ambas_ablations(fusion, bands):
    model = MODELS.build(m3amba_of(bands, fusion))
    assert_a_step_is_as_declared(model, transductive=False)
    assert len(model.neck.fused) == 1, "only the last layer's fused stream is read"
    with pytest.raises(InputError, match=r"reads no prior.*add model\.encoder=None"):
        MODELS.build(m3amba_of(bands, fusion, CLIP))


@pytest.mark.parametrize("outputs", [(0,), (0, 1)])
def test_a_backbones_layers_behind_its_last_output_are_frozen(outputs):
    backbone = {**CONVNEXT, "out_indices": outputs}
    model = MODELS.build(
        {
            "type": "BackboneClassifier",
            "in_channels": ONE,
            "num_classes": 3,
            "window": 8,
            "backbone": backbone,
        }
    )
    assert_a_step_is_as_declared(model, transductive=False)
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert any(name.startswith("backbone.stages.0") for name in trained)
    assert any(name.startswith("backbone.stages.1") for name in trained) == (1 in outputs)


def test_losses_that_cannot_be_declared_are_refused():
    with pytest.raises(InputError, match=r"consistency is 0\.1, but the network has the fused stream alone"):
        StreamLoss(consistency=0.1)(
            {"fused": torch.zeros(1, 2, 1, 1)}, torch.ones(1, 1, 1, dtype=torch.int64)
        )
    with pytest.raises(InputError, match=r"consistency is -0\.1"):
        StreamLoss(consistency=-0.1)
    config = m3amba_of(ONE)
    with pytest.raises(InputError, match="loss CrossEntropyLoss does not say whether"):
        MODELS.build({**config, "loss": {"type": "mmpretrain.CrossEntropyLoss"}})
