"""Published models by name: found, compared with their hash, built."""

import hashlib
import sys

import pytest
import torch
from safetensors.torch import save_file

import m3amba_zoo
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS

CONFIG = """
model = dict(type='M3amba', in_channels=dict(hsi=3), num_classes=2, embed_dim=16, window=8,
             adapter=dict(type='LinearAdapter'), neck=dict(type='CrossMamba', depth=1, d_state=4))
"""


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A card with weights in a folder of its own; returns the folder and the weights' model."""
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    folder = tmp_path / "m3amba-t_here"
    folder.mkdir()
    (folder / "config.py").write_text(CONFIG)
    space: dict = {}
    exec(CONFIG, space)
    model = MODELS.build(space["model"])
    save_file(model.state_dict(), folder / "weights")
    digest = hashlib.sha256((folder / "weights").read_bytes()).hexdigest()
    (folder / "weights").rename(folder / f"m3amba-t_here-{digest[:8]}.safetensors")
    return folder, model


def test_a_card_is_listed_and_its_model_built(card):
    folder, model = card
    assert folder.name in m3amba_zoo.list_models()
    x = {"hsi": torch.randn(1, 3, 8, 8)}
    loaded = m3amba_zoo.get_model(folder.name)
    torch.testing.assert_close(loaded(x)["fused"], model.eval()(x)["fused"])
    fresh = m3amba_zoo.get_model(folder.name, pretrained=False)
    assert not torch.equal(fresh(x)["fused"], loaded(x)["fused"])
    assert m3amba_zoo.Predictor(folder.name).in_channels == {"hsi": 3}


def test_weights_that_were_not_published_are_refused(card):
    folder, _ = card
    weights = next(folder.glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="not as its name says: it is refused"):
        m3amba_zoo.get_model(folder.name)


@pytest.mark.parametrize("name", ["weights.safetensors", "other-00000000.safetensors"])
def test_the_very_file_that_is_loaded_is_checked(card, name):
    folder, _ = card
    next(folder.glob("*.safetensors")).rename(folder / name)
    with pytest.raises(InputError, match=name):
        m3amba_zoo.get_model(folder.name)
    assert m3amba_zoo.get_model(folder.name, pretrained=False)


def test_a_card_may_inherit_from_an_installed_package(card, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkg_resources", None)  # as where it has vanished
    folder, _ = card
    inherit = "_base_ = ['mmpretrain::_base_/default_runtime.py']"
    (folder / "config.py").write_text(inherit + CONFIG)
    assert m3amba_zoo.get_model(folder.name)


def test_unknown_names_get_close_ones_and_paths_are_no_names(card):
    with pytest.raises(InputError, match="did you mean 'm3amba-t_here'"):
        m3amba_zoo.get_model("m3amba-t_her")
    with pytest.raises(InputError, match="no model is published as"):
        m3amba_zoo.get_model("../m3amba-t_here")


def test_a_card_without_weights_says_so(card):
    folder, _ = card
    next(folder.glob("*.safetensors")).unlink()
    with pytest.raises(InputError, match="no weights"):
        m3amba_zoo.get_model(folder.name)
