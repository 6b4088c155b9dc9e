"""The frozen encoder: weights from a file, refusals, and what trains through it."""

import open_clip
import pytest
import torch
from tiny_clip import bare, model_of, write_config

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ClipImageEncoder, m3amba


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small open_clip model: its config file and a checkpoint of it."""
    folder = tmp_path_factory.mktemp("clip")
    config = write_config(folder)
    return {"name": str(config), "weights": str(bare(model_of(config), folder))}


def model_with(tiny):
    model = m3amba({"hsi": 5, "lidar": 1}, 3, embed_dim=16, depth=1, d_state=4, window=8, clip=tiny)
    return model, {"hsi": torch.randn(2, 5, 8, 8), "lidar": torch.randn(2, 1, 8, 8)}


def test_weights_of_a_file_are_used_and_frozen(tiny):
    encoder = ClipImageEncoder(**tiny)
    image = torch.randn(2, 3, 32, 32)
    whole = open_clip.create_model("ViT-tiny-test", pretrained=tiny["weights"]).eval()
    torch.testing.assert_close(encoder(image), whole.encode_image(image))
    assert encoder.feature_dim == 32
    assert encoder.image_size == 32
    assert encoder.patches(image).shape == (2, 32, 2, 2)
    assert not list(encoder.parameters())
    assert "a file" in encoder.description
    encoder.train()
    assert not any(module.training for module in encoder.network.modules())


def test_gradients_reach_the_convolution_before_the_encoder(tiny):
    model, inputs = model_with(tiny)
    model(inputs)["fused"].square().sum().backward()
    for adapter in model.adapters.values():
        assert adapter.pseudo_rgb.weight.grad.abs().sum() > 0
        assert adapter.prior_map.weight.grad.abs().sum() > 0


def test_given_features_bypass_the_encoder(tiny):
    model, inputs = model_with(tiny)
    model.eval()
    features = {m: model.encoder(adapter.encoder_input(inputs[m])) for m, adapter in model.adapters.items()}
    torch.testing.assert_close(model(inputs, clip_features=features)["fused"], model(inputs)["fused"])


def test_checkpoints_leave_the_encoder_out_but_refuse_another_one(tiny):
    model, _ = model_with(tiny)
    state = model.state_dict()
    assert [key for key in state if key.startswith("encoder")] == ["encoder.fingerprint"]
    other, _ = model_with({**tiny, "weights": "random"})
    with pytest.raises(InputError, match=r"another encoder.*randomly initialised"):
        other.load_state_dict(state)


def test_a_random_encoder_is_said_to_be_one_and_follows_its_seed(tiny):
    first, again, other = (ClipImageEncoder(tiny["name"], "random", seed=seed) for seed in (3, 3, 4))
    assert "randomly initialised" in first.description
    assert torch.equal(first.fingerprint, again.fingerprint)
    assert not torch.equal(first.fingerprint, other.fingerprint)


def test_bad_weights_are_refused_in_a_sentence(tiny, tmp_path, monkeypatch):
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"broken\.pt: cut short or damaged, or not a checkpoint"):
        ClipImageEncoder(tiny["name"], str(broken))
    with pytest.raises(InputError, match=r"neither a file nor a tag.*tags: openai"):
        ClipImageEncoder(weights="opena")
    with pytest.raises(InputError, match="has no model 'ViT-B-33'"):
        ClipImageEncoder("ViT-B-33")
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    empty = tmp_path / "cache"
    with pytest.raises(InputError, match="M3AMBA_OFFLINE=1 forbids fetching"):
        ClipImageEncoder(cache_dir=str(empty))
