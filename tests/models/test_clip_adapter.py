"""The options of M3amba's adapter around an encoder."""

import open_clip
import pytest
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import resize_pos_embed
from torch import nn

from m3amba_zoo.config.shipped import SHIPPED
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ClipImageEncoder
from m3amba_zoo.registry import MODELS

TOWER = {
    "type": "ClipImageEncoder",
    "name": str(SHIPPED / "_base_/models/small_image_tower.json"),
    "weights": "random",
}
BANDS = {"hsi": 5, "lidar": 1}


def model_with(encoder=TOWER, **adapter):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "M3amba",
            "in_channels": BANDS,
            "num_classes": 3,
            "embed_dim": 16,
            "window": 8,
            "adapter": {"type": "ClipAdapter", **adapter},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
            "encoder": encoder,
        }
    )


def inputs_of(seed=0):
    torch.manual_seed(seed)
    return {modality: torch.randn(2, bands, 8, 8) for modality, bands in BANDS.items()}


@pytest.mark.parametrize("prior", ["global", "spatial"])
@pytest.mark.parametrize("pseudo_rgb", ["learned", "first"])
@pytest.mark.parametrize("image_size", [None, 32])
def test_every_combination_trains_what_it_has_and_nothing_in_the_encoder(prior, pseudo_rgb, image_size):
    size = {} if image_size is None else {"image_size": image_size}
    model = model_with(prior=prior, pseudo_rgb=pseudo_rgb, normalise=True, **size)
    image = model.adapters["lidar"].encoder_input(inputs_of()["lidar"])
    assert image.shape == (2, 3, image_size or 64, image_size or 64)
    assert image.requires_grad == (pseudo_rgb == "learned")
    logits = model(inputs_of())
    sum(values.square().sum() for values in logits.values()).backward()
    assert all(value.grad is not None for value in model.adapters.parameters())
    assert all(value.grad is None for value in model.encoder.network.parameters())


def test_a_spatial_prior_follows_the_image():
    adapter = model_with(prior="spatial").adapters["hsi"].eval()
    patches = torch.zeros(1, 64, 4, 4)
    patches[:, :, 0, 0] = torch.randn(64)  # the upper left patch alone differs
    _, prior = adapter(torch.randn(1, 5, 8, 8), patches)
    assert not torch.allclose(prior[0, 0, 0], prior[0, 7, 7])
    assert torch.allclose(prior[0, 4:, 4:], prior[0, 7, 7].expand(4, 4, 16), atol=1e-5)


def test_the_first_three_bands_are_the_image_and_one_band_is_grey():
    model = model_with(pseudo_rgb="first")
    inputs = inputs_of()
    for modality, bands in (("hsi", [0, 1, 2]), ("lidar", [0, 0, 0])):
        expected = nn.functional.interpolate(inputs[modality][:, bands], (64, 64), mode="bicubic")
        torch.testing.assert_close(model.adapters[modality].encoder_input(inputs[modality]), expected)


def test_normalise_gives_the_encoder_its_own_mean_and_deviation():
    model, plain = model_with(normalise=True).eval(), model_with().eval()
    image = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(of).view(1, 3, 1, 1) for of in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    torch.testing.assert_close(model.encoder.normalised(image), (image - mean) / std)
    assert not torch.allclose(model(inputs_of())["fused"], plain(inputs_of())["fused"])


def test_a_smaller_image_has_interpolated_positions_and_the_same_fingerprint():
    encoder = ClipImageEncoder(TOWER["name"], "random")
    theirs = open_clip.create_model("small_image_tower", force_image_size=32).eval()
    state = {f"visual.{name}": value for name, value in encoder.network.state_dict().items()}
    resize_pos_embed(state, theirs)
    theirs.load_state_dict(state, strict=False)
    image = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(encoder(image), theirs.encode_image(image))
    before = encoder.fingerprint.clone()
    assert encoder.patches(torch.rand(1, 3, 32, 32)).shape == (1, 64, 2, 2)
    assert torch.equal(encoder.fingerprint, before)
    assert encoder.to(torch.float64)(torch.rand(1, 3, 32, 32, dtype=torch.float64)).dtype == torch.float64
    with pytest.raises(InputError, match=r"image_size is 40 pixels, expected a multiple of 16"):
        encoder(torch.rand(1, 3, 40, 40))


def test_half_precision_is_close_and_gradients_still_arrive():
    full, half = (ClipImageEncoder(TOWER["name"], "random", precision=p) for p in ("float32", "bfloat16"))
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    expected, given = full(image), half(image)
    assert given.dtype == torch.float32
    assert not torch.equal(given, expected)
    torch.testing.assert_close(given, expected, atol=0.05, rtol=0.1)
    given.sum().backward()
    assert image.grad.abs().sum() > 0


def test_an_encoder_may_take_the_scenes_own_colours():
    encoder = ClipImageEncoder(TOWER["name"], "random", rgb=(0, 3000))
    assert [band.wavelength for band in encoder.needs.bands] == [665, 560, 490]
    assert (encoder.needs.pseudo_rgb, encoder.image_size) == (False, None)
    window = torch.rand(2, 3, 16, 16) * 3000
    scaled = nn.functional.interpolate(encoder.normalised(window / 3000), (64, 64), mode="bicubic")
    plain = ClipImageEncoder(TOWER["name"], "random")
    torch.testing.assert_close(encoder(window), plain(scaled))
    window[0, :, 0, 0] = float("nan")
    assert encoder.patches(window).isfinite().all()


@pytest.mark.parametrize(
    ("encoder", "adapter", "expected"),
    [
        ({}, {"prior": "patches"}, "prior is 'patches', expected 'global' or 'spatial'"),
        ({}, {"pseudo_rgb": "pca"}, "pseudo_rgb is 'pca', expected 'learned' or 'first'"),
        ({"rgb": (0, 1)}, {}, "reads red, green, blue of the scene, which ClipAdapter does not have"),
        ({"rgb": (1, 0)}, {}, r"rgb is \[1, 0\], expected \[low, high\]"),
        ({"precision": "half"}, {}, "precision is 'half', expected 'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_bad_options(encoder, adapter, expected):
    with pytest.raises(InputError, match=expected):
        model_with({**TOWER, **encoder}, **adapter)


def test_a_feature_of_the_other_form_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 64\) is given, expected \(B, F, h, w\)"):
        model_with(prior="spatial")(inputs_of(), clip_features={m: torch.randn(2, 64) for m in BANDS})
