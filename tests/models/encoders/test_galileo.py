"""Galileo against the golden values, and what a user of the encoder would hit; most on a tiny random one."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import GalileoEncoder
from m3amba_zoo.models.encoders.galileo import BANDS, MEAN_STD, S2
from m3amba_zoo.models.encoders.galileo_network import SPACE_TIME
from m3amba_zoo.scenes.source import data_roots

SHARED = next((root.parent for root in data_roots() if (root.parent / "golden").is_dir()), None)
CASES = ["s1_p1", "s1s2_p4", "s1s2srtm_p1", "s2_p2", "s2srtm_p8"]
TINY = {"dim": 32, "depth": 1, "heads": 2}
NAMES = [band.name for band in BANDS]


def tiny(**options):
    return GalileoEncoder(**{"weights": "random", "size": TINY, **options})


def windows(batch=2, side=8, seed=0):
    """Return windows of plausible values of all bands."""
    generator = torch.Generator().manual_seed(seed)
    mean, std = torch.tensor([MEAN_STD[name] for name in NAMES]).T
    noise = torch.randn(batch, len(BANDS), side, side, generator=generator)
    return mean[:, None, None] + 0.3 * std[:, None, None] * noise


@pytest.fixture(scope="module")
def golden():
    weights = SHARED and SHARED / "weights" / "galileo-nano" / "galileo_nano.safetensors"
    if not (weights and weights.is_file() and (SHARED / "golden" / "galileo_nano.safetensors").is_file()):
        pytest.skip("golden values and weights of Galileo nano (beside the data root) are not here")
    with safe_open(SHARED / "golden" / "galileo_nano.safetensors", "pt") as file:
        values = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return GalileoEncoder(str(weights)), values, file.metadata()


@pytest.mark.parametrize("case", CASES)
def test_features_equal_the_authors(golden, case):
    encoder, values, about = golden
    said = json.loads(about[case])
    given = {name: values[f"{case}.input.{name}"] for name in ("s1", "s2", "ndvi", "srtm")}
    columns = {"S1": given["s1"], "SRTM": given["srtm"], "NDVI": given["ndvi"][..., None]}
    of_s2 = [name for names in list(SPACE_TIME.values())[1:-1] for name in names]
    order = ["B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"]
    assert of_s2 == order
    for group in list(SPACE_TIME)[1:-1]:
        columns[group] = given["s2"][..., [order.index(name) for name in SPACE_TIME[group]]]
    there = [
        g for g in columns if g in said["groups"] or ("S2" in said["groups"] and g not in ("S1", "SRTM"))
    ]
    groups = {group: columns[group].permute(0, 3, 1, 2) for group in there}

    with torch.no_grad():
        found = encoder.network(groups, torch.full((2,), said["month"] - 1), said["patch"])

    expected = values[f"{case}.output.features"].permute(0, 3, 1, 2)
    assert ((found - expected).abs().max() / expected.abs().max()).item() < 1e-4


def test_bands_reach_the_network_normalised_with_ndvi_and_slope_made_of_them():
    x = windows(1)
    x[0, NAMES.index("elevation")] = torch.arange(8.0)[:, None] * 10  # rises as much as a pixel is long
    seen = {}
    encoder = tiny()
    encoder.network.register_forward_pre_hook(lambda _, given: seen.update(given[0]))
    encoder.patches(x, metres=10.0)
    b4, b8 = x[0, NAMES.index("B4")], x[0, NAMES.index("B8")]
    mean, std = MEAN_STD["NDVI"]
    torch.testing.assert_close(seen["NDVI"][0, 0], ((b8 - b4) / (b8 + b4) - mean + 2 * std) / (4 * std))
    mean, std = MEAN_STD["slope"]
    torch.testing.assert_close(seen["SRTM"][0, 1], torch.full((8, 8), (45 - mean + 2 * std) / (4 * std)))
    mean, std = MEAN_STD["B2"]
    torch.testing.assert_close(seen["S2_RGB"][0, 0], (x[0, 2] - mean + 2 * std) / (4 * std))


def test_absent_groups_have_no_token_and_each_window_stands_alone():
    encoder, x = tiny(), windows(3)
    x[1, [NAMES.index(b.name) for b in BANDS if b.sensor == S2]] = torch.nan
    x[2] = torch.nan
    found = encoder.patches(x)
    alone = torch.cat([encoder.patches(window[None]) for window in x])
    torch.testing.assert_close(found, alone, equal_nan=True)
    assert found[:2].isfinite().all()
    assert found[2].isnan().all()
    x[1, NAMES.index("B4"), 0, 0] = 1000.0  # a single value: now the sensor shows something
    assert not torch.allclose(encoder.patches(x[1:2]), found[1:2])


def test_a_missing_value_is_the_bands_mean():
    encoder, x = tiny(), windows(1)
    x[0, 2, :3] = MEAN_STD["B2"][0]
    expected = encoder.patches(x)
    x[0, 2, :3] = torch.nan
    torch.testing.assert_close(encoder.patches(x), expected)


def test_month_and_size_of_a_pixel_matter_and_the_global_feature_is_the_mean():
    encoder, x = tiny(patch=4), windows(1)
    june = encoder.patches(x)
    assert june.shape == (1, 32, 2, 2)
    torch.testing.assert_close(encoder.patches(x, month=torch.tensor([6]), metres=10.0), june)
    assert not torch.allclose(encoder.patches(x, month=torch.tensor([12])), june)
    assert not torch.allclose(encoder.patches(x, metres=30.0), june)
    torch.testing.assert_close(encoder(x), june.mean((2, 3)))


def test_weights_are_known_by_their_tensors_wherever_they_lie(tmp_path, monkeypatch):
    encoder = tiny(seed=3)
    state = dict(encoder.network.state_dict())
    save_file(state, tmp_path / "own.safetensors", {"licence": "CC0-1.0"})
    other = {"time_embed.ERA5.weight": torch.zeros(32, 2), "t_channel_embed": torch.zeros(3, 8)}
    torch.save({**state, **other}, tmp_path / "encoder.pt")  # the authors' files have more groups
    own = GalileoEncoder(str(tmp_path / "own.safetensors"), size=TINY)
    assert own.licence == "CC0-1.0"
    assert torch.equal(own.fingerprint, encoder.fingerprint)
    assert not torch.equal(own.fingerprint, tiny(seed=4).fingerprint)
    theirs = GalileoEncoder(str(tmp_path / "encoder.pt"), size=TINY)
    assert torch.equal(theirs.patches(windows()), encoder.patches(windows()))
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    moved = GalileoEncoder("/nowhere/own.safetensors", size=TINY)
    assert "own.safetensors from a file" in moved.description


def test_bad_weights_and_options_end_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    state = dict(tiny().network.state_dict())
    path = tmp_path / "own.safetensors"
    save_file(state, path)
    for options, said in {
        "no heads": ({}, "32 features and 1 blocks .none of those published.* heads=..."),
        "size": ({"size": "nano"}, "32 features.*expected 128 features and 4 blocks .nano"),
    }.values():
        with pytest.raises(InputError, match=said):
            GalileoEncoder(str(path), **options)
    save_file({"visual.conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"not the weights of a Galileo encoder.*visual\.conv1\.weight"):
        GalileoEncoder(str(path))
    save_file({**state, "norm.weight": torch.zeros(5)}, path)
    with pytest.raises(InputError, match=r"'norm.weight' is \(5,\), expected \(32,\)"):
        GalileoEncoder(str(path), size=TINY)
    with pytest.raises(
        InputError, match=r"M3AMBA_OFFLINE=1 forbids.*hf download nasaharvest/galileo models/\w+/encoder.pt"
    ):
        GalileoEncoder("nano", cache_dir=str(tmp_path))
    with pytest.raises(InputError, match=r"'mini': no such file.*expected a file, nano, tiny, base"):
        GalileoEncoder("mini")
    with pytest.raises(InputError, match="patch is 9, expected 1 to 8"):
        tiny(patch=9)
    with pytest.raises(InputError, match="month is 0, expected 1 to 12"):
        tiny(month=0)
    with pytest.raises(InputError, match="8 x 8 pixels cannot be divided into patches of 3 x 3"):
        tiny(patch=3).patches(windows())


def test_features_are_known_before_the_weights_are():
    known = GalileoEncoder.known_feature_dim
    assert (known(), known("random"), known("base"), known("random", TINY)) == (128, 128, 768, 32)
    assert known("some.safetensors") is None
    assert np.prod(tiny().fingerprint.shape) == 32
