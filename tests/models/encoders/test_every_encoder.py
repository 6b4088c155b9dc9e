"""What holds for every encoder of images: one battery."""

import copy
import inspect
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_clip import write_config

from m3amba_zoo.config.shipped import SHIPPED
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ImageEncoder
from m3amba_zoo.models.encoders import clip_loading
from m3amba_zoo.models.encoders.encoder import fingerprint_of
from m3amba_zoo.registry import BACKBONES, MODELS

VIT = {"embed_dims": 32, "num_layers": 1, "num_heads": 2, "feedforward_channels": 64}
CONVNEXT = {"depths": [1, 1, 1, 1], "channels": [8, 16, 24, 32]}
ENCODERS = {
    "clip": {
        "type": "ClipImageEncoder",
        "name": str(SHIPPED / "_base_/models/small_image_tower.json"),
    },
    "timm ViT": {"type": "TimmEncoder", "name": "test_vit"},
    "timm CNN": {"type": "TimmEncoder", "name": "test_efficientnet"},
    "mmpretrain ViT": {
        "type": "MMPretrainEncoder",
        "backbone": {"type": "mmpretrain.VisionTransformer", "arch": VIT, "img_size": 64, "patch_size": 16},
        "image_size": 64,
    },
    "mmpretrain CNN": {
        "type": "MMPretrainEncoder",
        "backbone": {"type": "mmpretrain.ConvNeXt", "arch": CONVNEXT},
        "image_size": 64,
    },
    "the example": {"type": "MyEncoder"},
}


@pytest.fixture(scope="module", autouse=True)
def _example():
    """Run the example of docs/extending/encoders.md."""
    text = (Path(__file__).parents[3] / "docs/extending/encoders.md").read_text()
    example = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "MyEncoder" in block)
    exec(example, {"__name__": "example"})
    yield
    BACKBONES.module_dict.pop("MyEncoder")


@pytest.fixture(params=ENCODERS.values(), ids=ENCODERS.keys())
def config(request):
    return {"weights": "random", **request.param}


def build(config):
    torch.manual_seed(0)
    return BACKBONES.build(dict(config))


def image_of(encoder):
    torch.manual_seed(1)
    return torch.rand(2, 3, encoder.image_size, encoder.image_size)


def saved(encoder, folder, without=None):
    """Write an encoder's weights as its publisher would, and return the file."""
    prefix = "visual." if type(encoder).__name__ == "ClipImageEncoder" else ""
    state = {name: value.contiguous() for name, value in encoder.network.state_dict().items()}
    state.pop(without, None)
    file = folder / "weights.safetensors"
    save_file({f"{prefix}{name}": value for name, value in state.items()}, file)
    return str(file)


def test_every_image_encoder_is_in_the_battery():
    parts = {name: BACKBONES.get(name) for name in BACKBONES.names()}
    encoders = {
        name for name, part in parts.items() if inspect.isclass(part) and issubclass(part, ImageEncoder)
    }
    assert encoders == {config["type"] for config in ENCODERS.values()}


def test_it_gives_one_feature_a_window_and_one_a_patch(config):
    encoder = build(config)
    image = image_of(encoder)
    assert encoder(image).shape == (2, encoder.feature_dim)
    patches = encoder.patches(image)
    assert patches.shape[:2] == (2, encoder.feature_dim)
    assert patches.shape[2] == patches.shape[3] > 1
    halves = encoder.patches(torch.cat([image[..., : image.shape[-1] // 2]] * 2, -1))
    assert not torch.allclose(patches[..., -1], halves[..., -1])  # the right of the image is at the right


def test_it_is_frozen_and_gives_the_same_in_training(config):
    encoder = build(config)
    image = image_of(encoder).requires_grad_()
    before = encoder.eval()(image)
    assert not list(encoder.parameters())
    assert copy.deepcopy(encoder).network is encoder.network  # averaged weights need no second one
    assert torch.equal(encoder.train()(image), before)
    before[:, 0].sum().backward()  # a LayerNorm's whole sum is constant
    assert image.grad.abs().sum() > 0
    assert all(value.grad is None for value in encoder.network.parameters())


def test_a_checkpoint_has_its_fingerprint_and_refuses_another(config, tmp_path):
    encoder = build(config)
    state = encoder.state_dict()
    assert list(state) == ["fingerprint"]
    build(config).load_state_dict(state)
    with torch.no_grad():
        next(encoder.network.parameters()).add_(1)
    other = BACKBONES.build(dict(config, weights=saved(encoder, tmp_path)))
    with pytest.raises(InputError, match="trained with another encoder"):
        other.load_state_dict(state)


def test_a_file_gives_the_weights_back(config, tmp_path):
    encoder = build(config)
    again = BACKBONES.build(dict(config, weights=saved(encoder, tmp_path)))
    assert torch.equal(again.fingerprint, encoder.fingerprint)
    assert again.weights_file == tmp_path / "weights.safetensors"


def test_wrong_weights_are_refused_in_a_sentence(config, tmp_path):
    encoder = build(config)
    missing = next(name for name, value in encoder.network.named_parameters() if value.ndim == 4)
    file = saved(encoder, tmp_path, without=missing)
    with pytest.raises(InputError, match=r"weights\.safetensors: no") as refused:
        BACKBONES.build(dict(config, weights=file))
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match="neither a"):
        BACKBONES.build(dict(config, weights=str(tmp_path / "absent.pt")))


def test_m3amba_trains_around_it(config):
    model = MODELS.build(
        {
            "type": "M3amba",
            "in_channels": {"hsi": 5},
            "num_classes": 3,
            "embed_dim": 16,
            "window": 8,
            "adapter": {"type": "ClipAdapter", "prior": "spatial", "normalise": True},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
            "encoder": config,
        }
    )
    model({"hsi": torch.randn(2, 5, 8, 8)})["fused"].square().sum().backward()
    assert model.adapters["hsi"].pseudo_rgb.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"type": "TimmEncoder", "name": "resnet19"},
            "timm has no model 'resnet19'; did you mean 'resnet18'",
        ),
        (
            {"type": "TimmEncoder", "name": "resnet18.a1_in2k"},
            "no weights 'a1_in2k' of 'resnet18'; it has .*resnet18.a1_in1k",
        ),
        ({"type": "TimmEncoder", "name": "hf-hub:timm/resnet18"}, "timm has no model 'hf-hub:timm/resnet18'"),
        ({"type": "TimmEncoder"}, "TimmEncoder needs name=, a model of timm such as 'resnet18.a1_in1k'"),
        ({"type": "MMPretrainEncoder", "backbone": "resnet19"}, "mmpretrain has no model 'resnet19'"),
        ({"type": "MMPretrainEncoder"}, "MMPretrainEncoder needs backbone=, a model of mmpretrain such as"),
        (
            {"type": "TimmEncoder", "name": "test_vit"},
            r"OFFLINE=1 forbids.*hf download timm/test_vit\.r160_in1k",
        ),
        (
            {"type": "MMPretrainEncoder", "backbone": "resnet18_8xb32_in1k"},
            r"OFFLINE=1 forbids.*curl -LO http\S+resnet18",
        ),
    ],
)
def test_names_that_are_unknown_or_not_here(config, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=expected):
        BACKBONES.build(config)


NAMED = (
    {"type": "ClipImageEncoder", "name": "ViT-B-32"},
    {"type": "GalileoEncoder"},
    {"type": "TimmEncoder", "name": "test_vit"},
)


def test_a_network_that_does_not_answer_is_asked_once(monkeypatch, tmp_path):
    asked = []

    def no_answer(repository, timeout):
        asked.append((repository, timeout))
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.model_info", no_answer)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)  # which repeats what fails
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("M3AMBA_WEIGHTS", raising=False)
    monkeypatch.setattr(clip_loading, "OPENAI_CACHE", tmp_path)
    for config in NAMED:
        with pytest.raises(InputError, match=r"could not be fetched \(no route to host\); .*hf download"):
            BACKBONES.build({**config, "cache_dir": str(tmp_path)})
    assert [timeout for _, timeout in asked] == [10.0] * len(NAMED)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for config in NAMED:
        with pytest.raises(InputError, match=r"HF_HUB_OFFLINE=1 forbids fetching them; .*hf download"):
            BACKBONES.build({**config, "cache_dir": str(tmp_path)})
    assert len(asked) == len(NAMED)


def test_the_fingerprint_has_what_changes_features_and_is_in_no_weight(tmp_path):
    timm, vit = ENCODERS["timm CNN"], ENCODERS["mmpretrain ViT"]
    galileo = {"type": "GalileoEncoder", "size": {"dim": 32, "depth": 1, "heads": 2}}
    gelu, quick = (
        {"type": "ClipImageEncoder", "name": str(write_config(tmp_path, f"tower-{quick}", quick))}
        for quick in (False, True)
    )
    for one, other in (
        (gelu, quick),
        (timm, {**timm, "rgb": (0, 1)}),
        ({**timm, "rgb": (0, 2)}, {**timm, "rgb": (0, 1)}),
        (vit, {**vit, "image_size": 48}),
        (galileo, {**galileo, "patch": 4}),
        (galileo, {**galileo, "month": 1}),
    ):
        first, second = (BACKBONES.build({"weights": "random", **config}) for config in (one, other))
        weights = [fingerprint_of(encoder.network, {}) for encoder in (first, second)]
        assert torch.equal(*weights)
        assert not torch.equal(first.fingerprint, second.fingerprint), other
    usual = BACKBONES.build({"weights": "random", **galileo})
    assert torch.equal(usual.fingerprint, fingerprint_of(usual.network, {}))  # as it was before settings were
