"""M3amba against the golden values, and what a user of the network would hit."""

import pytest
import torch
from safetensors import safe_open

from m3amba_zoo import ops
from m3amba_zoo.hub import convert_reference
from m3amba_zoo.models import m3amba
from m3amba_zoo.scenes.source import data_roots

GOLDEN = next(
    (p for root in data_roots() if (p := root.parent / "golden" / "m3amba_tiny.safetensors").is_file()), None
)
TOLERANCE = 1e-4  # of each tensor's largest absolute value, as golden/README.md asks


@pytest.fixture(scope="module")
def golden():
    if GOLDEN is None:
        pytest.skip("golden values (golden/m3amba_tiny.safetensors beside the data root) are not here")
    with safe_open(GOLDEN, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def assert_close(actual, expected, name):
    scale = expected.abs().max().clamp(min=1e-12)
    assert ((actual - expected).abs().max() / scale).item() < TOLERANCE, name


@pytest.mark.parametrize("backend", [name for name, reason in ops.backends().items() if reason is None])
def test_outputs_and_gradients_equal_the_authors(golden, backend, monkeypatch):
    monkeypatch.setenv("M3AMBA_SCAN_BACKEND", backend)
    weights = {k: v for k, v in golden.items() if k.startswith("model_dict.")}
    model = m3amba({"hsi": 6, "lidar": 2}, num_classes=5, embed_dim=16, depth=2).eval()
    model.load_state_dict(convert_reference(weights))
    inputs = {m: golden[f"input.{m}"].clone().requires_grad_() for m in ("hsi", "lidar")}
    features = {m: golden[f"input.clip_{m}"].clone().requires_grad_() for m in ("hsi", "lidar")}

    logits = model(inputs, clip_features=features)

    for stream in ("hsi", "lidar", "fused"):
        assert_close(logits[stream], golden[f"output.{stream}"], stream)
    sum((golden[f"cotangent.{k}"] * v).sum() for k, v in logits.items()).backward()
    for modality in inputs:
        assert_close(inputs[modality].grad, golden[f"grad.input.{modality}"], modality)
        assert_close(features[modality].grad, golden[f"grad.input.clip_{modality}"], f"clip_{modality}")
    theirs = {k.removeprefix("grad."): v for k, v in golden.items() if k.startswith("grad.model_dict.")}
    parameters = dict(model.named_parameters())
    for name, gradient in convert_reference(theirs).items():
        assert_close(parameters[name].grad, gradient, name)


def test_paper_size_has_the_papers_parameter_count():
    with torch.device("meta"):
        model = m3amba({"hsi": 144, "lidar": 1}, num_classes=15)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 70.8


@pytest.mark.parametrize("modalities", [("hsi",), ("hsi", "sar", "dsm")])
def test_any_number_of_modalities(modalities):
    model = m3amba(dict.fromkeys(modalities, 3), num_classes=4, embed_dim=16, depth=1, window=8)
    logits = model({m: torch.randn(2, 3, 8, 8) for m in modalities})
    assert set(logits) == {*modalities, "fused"}
    assert all(x.shape == (2, 4, 8, 8) for x in logits.values())
    sum(x.sum() for x in logits.values()).backward()
