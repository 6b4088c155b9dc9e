"""What sets each baseline apart does what its paper says; what cannot work is refused in one sentence."""

import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.baselines.spectralformer import GroupwiseEmbedding
from m3amba_zoo.registry import MODELS


def build(kind, in_channels=None, **options):
    return MODELS.build(
        {"type": kind, "in_channels": in_channels or {"hsi": 12, "lidar": 1}, "num_classes": 4, **options}
    )


def test_msfmamba_has_about_the_papers_parameters():
    model = MODELS.build({"type": "MSFMamba", "in_channels": {"hsi": 30, "sar": 4}, "num_classes": 7})
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1.5252e6, rel=0.03)


def test_a_token_of_spectralformer_is_a_band_and_its_neighbours():
    embed = GroupwiseEmbedding(neighbours=3, pixels=9, embed_dim=5)
    x = torch.randn(2, 7, 3, 3)
    changed = x.clone()
    changed[:, 4, 0, 0] += 1
    moved = (embed(changed) - embed(x)).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == [False, False, False, True, True, True, False]


def test_a_layer_of_spectralformer_reads_what_entered_the_layer_before_the_last():
    model = build("SpectralFormer", patch=3, depth=3).eval()
    entered = []
    for layer in model.layers:
        layer.register_forward_hook(lambda module, inputs, output: entered.append((inputs[0], output)))
    with torch.no_grad():
        model.fusion.copy_(torch.tensor([[2.0, 3.0]]))
        model.patch_logits({"hsi": torch.randn(2, 12, 3, 3)})
    (z0, _), (_, z2), (read, _) = entered
    torch.testing.assert_close(read, 2 * z2 + 3 * z0)


def test_the_class_token_of_mft_is_the_other_modality():
    model = build("MFT").eval()
    patches = {"hsi": torch.randn(3, 12, 11, 11), "lidar": torch.randn(3, 1, 11, 11)}
    cls = []
    model.blocks.register_forward_pre_hook(lambda module, inputs: cls.append(inputs[0][:, 0]))
    for hsi, lidar in ((1, 1), (2, 1), (1, 2)):
        model.patch_logits({"hsi": hsi * patches["hsi"], "lidar": lidar * patches["lidar"]})
    assert torch.equal(cls[0], cls[1])
    assert not torch.allclose(cls[0], cls[2])


def test_branches_of_exvit_read_each_other():
    for other in ("hsi", "lidar"):
        model = build("ExViT", patch=5, depth=1).eval()
        for module in model.classifiers[other]:
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(
                module.bias
            )  # this branch's scores are 0: what it says comes through the other
        x = {"hsi": torch.randn(2, 12, 5, 5), "lidar": torch.randn(2, 1, 5, 5)}
        before = model.patch_logits(x)["fused"]
        after = model.patch_logits({**x, other: x[other] + 1})["fused"]
        assert not torch.allclose(before, after)


BACKBONES = {
    "ResNet_CIFAR": {"depth": 18, "base_channels": 8, "stem_channels": 8, "out_indices": (0, 1, 2, 3)},
    "ConvNeXt": {
        "arch": {"depths": [1, 1], "channels": [8, 16]},
        "stem_patch_size": 1,
        "out_indices": (0, 1),
        "gap_before_final_norm": False,
    },
}


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_of_mmpretrain_classify_windows(name):
    torch.manual_seed(0)
    model = build("BackboneClassifier", window=8, backbone={"type": f"mmpretrain.{name}", **BACKBONES[name]})
    x = {"hsi": torch.randn(2, 12, 8, 8), "lidar": torch.randn(2, 1, 8, 8)}
    logits = model(x)["fused"]
    assert logits.shape == (2, 4, 8, 8)
    logits.square().sum().backward()
    assert all(p.grad is not None for p in model.backbone.parameters())
    model.eval()
    shifted = model({**x, "lidar": x["lidar"] + 1})["fused"]
    assert not torch.allclose(model(x)["fused"], shifted)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("SpectralFormer", {"neighbours": 2}, "neighbours is 2, expected an odd number"),
        ("MFT", {"embed_dim": 20}, "embed_dim is 20, expected a multiple"),
        ("MambaHSI", {"tokens": 5}, "embed_dim is 64, expected a multiple of tokens, 5"),
        ("BackboneClassifier", {"window": 8, "backbone": {"type": "mmpretrain.ResNot"}}, "mmpretrain.ResNot"),
        (
            "BackboneClassifier",
            {"window": 32, "backbone": {"type": "mmpretrain.ConvNeXt", "arch": "atto"}},
            r"ConvNeXt returns \(1, 320\), feature maps",
        ),
        (
            "BackboneClassifier",
            {"window": 2, "backbone": {"type": "mmpretrain.ConvNeXt", "arch": "atto"}},
            "ConvNeXt cannot read windows of 2 pixels",
        ),
    ],
)
def test_what_does_not_fit_is_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        build(kind, **options)


def test_windows_that_pooling_would_use_up_are_refused():
    with pytest.raises(InputError, match="windows have 3 pixels, expected at least 4, or pooling=False"):
        build("MambaHSI")({"hsi": torch.randn(1, 12, 3, 3)})
