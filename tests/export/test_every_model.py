"""Every published model and every registered network: the exported file gives what PyTorch gives."""

import inspect
import json

import onnxruntime
import pytest
import torch
from exported import check_parity
from tiny_networks import CLASSES, build, inputs_of, trained

from m3amba_zoo import get_model, list_models
from m3amba_zoo.export import export_model
from m3amba_zoo.export.program import onnx_bytes, trace
from m3amba_zoo.hub.golden import read_golden
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS, published_models
from m3amba_zoo.models import PatchClassifier
from m3amba_zoo.registry import MODELS

pytestmark = pytest.mark.slow

PUBLISHED = [name for name, model in published_models().items() if model.weights]
DEPTHS = {"ExViT": 1, "MSFMamba": 1, "MambaHSI": 2}  # where the default takes long to export
STEPS = [{"type": "Derivative", "length": 3, "degree": 1}, {"type": "CenteredLog", "floor": 0.01}]
FACTS = {"model": "a network", "modalities": [{"name": "hsi"}, {"name": "lidar"}]}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model(name, tmp_path):
    assert name in list_models()
    path, facts = export_model(name, "onnx", tmp_path / "model.onnx")
    model, published = get_model(name), published_models()[name]
    side = facts["window"] + 2 * facts["margin"]
    golden = read_golden(CHECKOUT_CARDS / name / "golden.safetensors").inputs
    check_parity(path, model, {m: x[None, :, :side, :side] for m, x in golden.items()})
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["m3amba_zoo"]) == facts
    assert facts["model"] == name
    assert facts["weights"]["sha256"] == published.file(published.weights).sha256
    assert [(m["name"], m["bands"]) for m in facts["modalities"]] == list(model.in_channels.items())
    assert len(facts["modalities"][0]["wavelengths"]) == facts["modalities"][0]["bands"]
    assert all(entry["name"] and len(entry["color"]) == 3 for entry in facts["classes"])
    assert len(facts["classes"]) == model.num_classes


@pytest.mark.parametrize("name", CLASSES)
def test_a_registered_network(name):
    known = inspect.signature(CLASSES[name]).parameters
    options = {"depth": DEPTHS[name]} if name in DEPTHS else {}
    options["data_preprocessor"] = {"type": "RasterPreprocessor", "pretreatment": {"hsi": STEPS}}
    model = trained(build(name, {"hsi": 9, "lidar": 2}, **options))
    window = 4 if isinstance(model, PatchClassifier) else inputs_of(model)["hsi"].shape[-1]
    file = onnx_bytes(trace(model, window), FACTS)
    check_parity(file, model, {m: x[:1] for m, x in inputs_of(model, pixels=window).items()})
    assert "depth" not in options or "depth" in known


@pytest.mark.parametrize(
    "options", [{}, {"prior": "spatial", "pseudo_rgb": "first", "normalise": True, "image_size": 48}], ids=str
)
def test_m3amba_with_an_encoder(options, tmp_path):
    config = tmp_path / "ViT-export-test.json"
    tower = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    config.write_text(json.dumps({"embed_dim": 32, "vision_cfg": tower, "text_cfg": text}))
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "M3amba",
            "in_channels": {"hsi": 9, "lidar": 2},
            "num_classes": 3,
            "embed_dim": 16,
            "window": 8,
            "adapter": {"type": "ClipAdapter", **options},
            "adapters": {"lidar": {"type": "LinearAdapter"}},
            "encoder": {"type": "ClipImageEncoder", "name": str(config), "weights": "random"},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 3},
            "data_preprocessor": {"type": "RasterPreprocessor"},
        }
    ).eval()
    windows = {m: torch.randn(1, bands, 8, 8) for m, bands in model.in_channels.items()}
    check_parity(onnx_bytes(trace(model, 8), FACTS), model, windows)
