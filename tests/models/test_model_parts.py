"""Every registered adapter keeps the contract; the loss and DropPath do what the paper's equations say."""

import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import StreamLoss, m3amba
from m3amba_zoo.models.m3amba import DropPath
from m3amba_zoo.registry import ADAPTERS, MODELS, NECKS


@pytest.mark.parametrize("name", ADAPTERS.names())
def test_every_adapter_turns_bands_into_tokens_and_a_prior(name):
    adapter = ADAPTERS.build({"type": name, "in_channels": 3, "embed_dim": 16, "window": 8})
    x = torch.randn(2, 3, 8, 8)
    token, prior = adapter(x, None)
    assert token.shape == prior.shape == (2, 8, 8, 16)
    token.square().sum().backward()
    assert sum(p.grad is not None for p in adapter.parameters()) > 0


def test_a_feature_that_no_layer_would_read_is_refused():
    adapter = ADAPTERS.build({"type": "ClipAdapter", "in_channels": 3, "embed_dim": 16, "window": 8})
    with pytest.raises(InputError, match="built without feature_dim"):
        adapter(torch.randn(2, 3, 8, 8), torch.randn(2, 512))


def test_loss_counts_labelled_pixels_only_and_consistency_all_of_them():
    logits = {m: torch.randn(2, 3, 4, 4) for m in ("hsi", "sar", "fused")}
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0, 1, 2], labels[1, 3, 3] = 1, 3
    terms = StreamLoss(cross_entropy=2.0, consistency=0.5)(logits, labels)
    picked = -logits["hsi"].log_softmax(1)[[0, 1], [0, 2], [1, 3], [2, 3]].mean()
    torch.testing.assert_close(terms["loss_hsi"], 2 * picked)
    cosine = torch.nn.functional.cosine_similarity
    distance = sum((1 - cosine(logits[m], logits["fused"], dim=1)).mean() for m in ("hsi", "sar"))
    torch.testing.assert_close(terms["loss_consistency"], 0.5 * distance)
    unlabelled = StreamLoss()(logits, torch.zeros_like(labels))
    assert all(value == 0 for value in unlabelled.values())


def test_only_consistency_is_transductive():
    assert StreamLoss(consistency=0.1).transductive
    assert not StreamLoss().transductive


def test_drop_path_drops_whole_samples_in_training_and_keeps_the_mean():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 3)
    y = drop.train()(x)
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert (y[:, 0] == y[:, 2]).all()
    assert abs(y.mean().item() - 1) < 0.05
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_channels": {"fused": 3}}, "may not be called 'fused'"),
        ({"in_channels": {"hsi": 0}}, r"in_channels\['hsi'\] is 0"),
        ({"adapters": {"lidar": {"type": "LinearAdapter"}}}, "adapter is given for 'lidar'"),
        ({"adapter": {"type": "LinearAdaptor"}}, "did you mean 'LinearAdapter'"),
        ({"neck": {"type": "CrossMomba"}}, "did you mean 'CrossMamba'"),
        ({"neck": {"type": "CrossMamba", "fusion": "mean"}}, "fusion is 'mean', expected 'cross', 'sum' or"),
        ({"encoder": {"type": "ClipImageEncoder", "weights": "random"}}, "no adapter uses it"),
    ],
)
def test_bad_configs_are_named(change, message):
    config = {
        "type": "M3amba",
        "in_channels": {"hsi": 3},
        "num_classes": 2,
        "embed_dim": 16,
        "window": 8,
        "adapter": {"type": "LinearAdapter"},
        "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
    }
    with pytest.raises(InputError, match=message):
        MODELS.build({**config, **change})


@pytest.mark.parametrize(("fusion", "reads_the_other"), [("cross", True), ("sum", False), ("concat", False)])
def test_only_cross_fusion_lets_a_stream_read_the_others(fusion, reads_the_other):
    config = {"type": "CrossMamba", "modalities": ["hsi", "sar"], "embed_dim": 16, "depth": 2, "d_state": 4}
    neck = NECKS.build({**config, "fusion": fusion}).eval()
    hsi, sar = torch.randn(1, 8, 8, 16), torch.randn(1, 8, 8, 16, requires_grad=True)
    streams = neck({"hsi": hsi, "sar": sar}, hsi + sar)
    to_fused, to_hsi = (
        torch.autograd.grad(streams[name].square().sum(), sar, retain_graph=True, allow_unused=True)[0]
        for name in ("fused", "hsi")
    )
    assert to_fused.abs().sum() > 0
    assert (to_hsi is not None and bool(to_hsi.abs().sum() > 0)) == reads_the_other


def test_a_missing_modality_is_named():
    model = m3amba({"hsi": 3, "lidar": 1}, 2, embed_dim=16, depth=1, window=8)
    with pytest.raises(InputError, match="modality 'lidar' is missing: the model was built for hsi, lidar"):
        model({"hsi": torch.zeros(1, 3, 8, 8)})


def test_mixed_precision_keeps_logits_close():
    torch.manual_seed(0)
    model = m3amba({"hsi": 3}, 2, embed_dim=16, depth=1, window=8).eval()
    x = {"hsi": torch.randn(1, 3, 8, 8)}
    exact = model(x)["fused"]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(x)["fused"]
    torch.testing.assert_close(mixed.float(), exact, rtol=0.1, atol=0.05)
