"""Pretreatment: fitted on training pixels, carried by the weights, equal at inference."""

import numpy as np
import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import RasterPreprocessor
from m3amba_zoo.models.preprocessor import data_warning
from m3amba_zoo.models.pretreatment import constant_features

STEPS = {
    "none": [],
    "SelectBands": [{"type": "SelectBands", "drop": [(0, 1), (5, 5)]}],
    "UnitNorm": [{"type": "UnitNorm"}],
    "CenteredLog": [{"type": "CenteredLog", "floor": 1.0}],
    "Derivative": [{"type": "Derivative", "length": 5}],
    "Standardize": [{"type": "Standardize"}],
    "PCA": [{"type": "Standardize"}, {"type": "PCA", "components": 3}],
    "Discriminants": [{"type": "UnitNorm"}, {"type": "Discriminants", "components": 2}],
}


def pixels(count=300, bands=8, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(1, 4, count)
    x = 100 + 30 * labels[:, None] * np.linspace(0, 1, bands) + generator.normal(0, 3, (count, bands))
    return {"hsi": x.astype(np.float32)}, labels


@pytest.mark.parametrize("name", STEPS)
def test_every_step_fits_travels_with_the_weights_and_keeps_missing_pixels_out(name):
    fitted = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS[name]})
    fitted.fit(*pixels())
    loaded = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS[name]})
    loaded.load_state_dict(fitted.state_dict())
    window = torch.from_numpy(pixels(16)[0]["hsi"]).T.reshape(1, 8, 4, 4).clone()
    window[0, :, 1, 1] = torch.nan
    fitted.eval()
    treated = loaded.eval()({"inputs": {"hsi": window}})["inputs"]["hsi"]
    assert treated.shape == (1, fitted.out_channels["hsi"], 4, 4)
    assert torch.equal(treated, fitted({"inputs": {"hsi": window}})["inputs"]["hsi"])
    assert (treated[0, :, 1, 1] == 0).all()
    assert treated.isfinite().all()
    assert bool(loaded.fitted)


@pytest.mark.parametrize("name", ["Standardize", "PCA", "Discriminants"])
def test_fitted_steps_give_unit_variance_on_the_training_pixels(name):
    x, labels = pixels()
    preprocessor = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS[name]})
    preprocessor.fit(x, labels)
    treated = preprocessor.transform({"hsi": torch.from_numpy(x["hsi"]).T[None, :, :, None]})["hsi"][
        0, :, :, 0
    ]
    torch.testing.assert_close(treated.std(1), torch.ones(len(treated)), rtol=0.02, atol=0)
    torch.testing.assert_close(treated.mean(1), torch.zeros(len(treated)), rtol=0, atol=1e-2)


def test_mixed_precision_leaves_the_pretreatment_exact():
    x, labels = pixels()
    preprocessor = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS["PCA"]})
    preprocessor.fit(x, labels)
    window = {"inputs": {"hsi": torch.from_numpy(x["hsi"]).T[None, :, :, None]}}
    with torch.autocast("cpu", torch.bfloat16):
        mixed = preprocessor(window)["inputs"]["hsi"]
    assert torch.equal(mixed, preprocessor(window)["inputs"]["hsi"])


def test_derivative_of_a_ramp_is_its_slope():
    preprocessor = RasterPreprocessor({"hsi": 9}, {"hsi": [{"type": "Derivative", "length": 5}]})
    ramp = (3 * torch.arange(9.0)).view(1, 9, 1, 1)
    treated = preprocessor.transform({"hsi": ramp})["hsi"]
    torch.testing.assert_close(treated, torch.full((1, 5, 1, 1), 3.0), rtol=0, atol=1e-4)


def test_centered_log_removes_a_gain():
    spectrum = torch.rand(1, 8, 4, 4) + 1
    treat = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS["CenteredLog"]})
    bright, dark = (treat.transform({"hsi": gain * spectrum})["hsi"] for gain in (1000, 10))
    torch.testing.assert_close(bright, dark)
    assert bright.std() > 0.01


def test_windows_are_shifted_as_a_whole_and_in_training_alone():
    plain = RasterPreprocessor({"hsi": 8}, {"hsi": [{"type": "Standardize"}]})
    steps = [{"type": "Standardize"}, {"type": "WindowShift", "level": 0.5}, {"type": "Standardize"}]
    shifted = RasterPreprocessor({"hsi": 8}, {"hsi": steps})
    for preprocessor in (plain, shifted):
        preprocessor.fit(*pixels())
    windows = {"hsi": torch.from_numpy(pixels(3200)[0]["hsi"]).view(200, 4, 4, 8).permute(0, 3, 1, 2)}
    difference = (shifted.transform(windows)["hsi"] - plain.transform(windows)["hsi"]).std((2, 3))
    assert difference.max() < 1e-5  # one vector per window
    torch.testing.assert_close(
        (shifted.transform(windows)["hsi"] - plain.transform(windows)["hsi"]).std().item(),
        0.5,
        rtol=0.1,
        atol=0,
    )
    shifted.eval()
    torch.testing.assert_close(shifted.transform(windows)["hsi"], plain.transform(windows)["hsi"])


def test_each_modality_is_fitted_on_the_pixels_and_bands_that_it_has():
    x, labels = pixels()
    x["hsi"][::3, 2] = np.nan
    x["lidar"] = np.where(labels == 1, np.nan, 5.0 * labels)[:, None].astype(np.float32)
    preprocessor = RasterPreprocessor({"hsi": 8, "lidar": 1}, {"hsi": STEPS["PCA"]})
    treated = preprocessor.fit(x, labels)
    standardize = preprocessor.steps_of("hsi")[0]
    np.testing.assert_allclose(standardize.mean, np.nanmean(x["hsi"].astype(float), 0), rtol=1e-6)
    heights = treated["lidar"][:, 0]
    assert (heights[labels == 1] == 0).all()
    np.testing.assert_allclose([heights.mean(), heights[labels != 1].std()], [0, 1], atol=1e-5)
    whole = np.arange(len(labels)) % 3 > 0
    standardized = (x["hsi"] - standardize.mean.numpy()) / standardize.std.numpy()
    of_whole = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS["PCA"][1:]})
    expected = of_whole.fit({"hsi": standardized[whole]}, labels[whole])["hsi"]
    np.testing.assert_allclose(treated["hsi"][whole], expected, atol=1e-4)
    assert (treated["hsi"][~whole] == 0).all()
    discriminants = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS["Discriminants"]})
    assert (discriminants.fit(x, labels)["hsi"][~whole] == 0).all()


def test_the_bands_that_a_pixel_has_are_treated_as_if_it_had_all():
    flat = torch.full((1, 4, 1, 2), 3.0)
    flat[0, 1:3, 0, 1] = torch.nan
    for step, value in (("UnitNorm", 0.5), ("CenteredLog", 0.0)):
        found = RasterPreprocessor({"hsi": 4}, {"hsi": STEPS[step]}).transform({"hsi": flat})["hsi"]
        torch.testing.assert_close(found[0, :, 0, 0], torch.full((4,), value))
        torch.testing.assert_close(found[0, :, 0, 1], torch.tensor([value, 0, 0, value]))


def test_a_band_that_no_pixel_has_is_named_with_the_step_that_leaves_it_out():
    x, labels = pixels()
    x["hsi"][:, [2, 3, 6]] = np.nan
    names = {"hsi": [f"{i} ({400 + i} nm)" for i in range(8)]}
    plain = RasterPreprocessor({"hsi": 8})
    with pytest.raises(InputError) as caught:
        plain.fit(x, labels, names)
    assert "band 2 (402 nm) to 3 (403 nm), 6 (406 nm) of 'hsi' is missing at all 300" in str(caught.value)
    step = "dict(type='SelectBands', drop=[(2, 3), (6, 6)])"
    assert f"begin pretreatment['hsi'] with {step}" in str(caught.value)
    some = RasterPreprocessor({"hsi": 8}, {"hsi": [{"type": "SelectBands", "drop": [(1, 2)]}]})
    with pytest.raises(InputError, match=r"band 3 .*, 6 .*drop=\[\(1, 3\), \(6, 6\)\]\)"):
        some.fit(x, labels, names)
    RasterPreprocessor({"hsi": 8}, {"hsi": [eval(step), {"type": "Standardize"}]}).fit(x, labels)
    x["hsi"][:, 5] = 7
    with pytest.raises(InputError, match=r"band 5 \(405 nm\) of 'hsi' is constant"):
        RasterPreprocessor({"hsi": 8}, {"hsi": [eval(step), {"type": "Standardize"}]}).fit(x, labels, names)
    x["hsi"][:] = np.nan
    with pytest.raises(InputError, match="'hsi' has no value at any of the 300 training pixels"):
        plain.fit(x, labels)


def test_an_encoders_constant_features_count_as_0_and_are_counted():
    x, labels = pixels()
    x["hsi"][:, [2, 5]] = 0, 7
    dead = RasterPreprocessor({"hsi": 8}, {"hsi": STEPS["PCA"]})
    treated = dead.fit(x, labels, features=("hsi",))["hsi"]
    others = RasterPreprocessor({"hsi": 6}, {"hsi": STEPS["PCA"]})
    np.testing.assert_allclose(
        treated, others.fit({"hsi": np.delete(x["hsi"], [2, 5], 1)}, labels)["hsi"], atol=1e-4
    )
    elsewhere = torch.from_numpy(x["hsi"]).T[None, :, :, None].clone()
    elsewhere[:, 5] = 1e4  # a channel that fires at a test pixel alone
    np.testing.assert_allclose(dead.transform({"hsi": elsewhere})["hsi"][0, :, :, 0].T, treated, atol=1e-5)
    said = "2 of 8 features of 'hsi' are the same at all training pixels and count as 0"
    assert constant_features(x, ("hsi",)) == said
    assert constant_features(x, ()) == ""


def test_bad_bands_are_named():
    x, labels = pixels()
    x["hsi"][:, 2] = 7
    preprocessor = RasterPreprocessor({"hsi": 8})
    with pytest.raises(InputError, match=r"band 2 of 'hsi' is constant \(7\) over the 300 training pixels"):
        preprocessor.fit(x, labels)
    with pytest.raises(InputError, match="'hsi' has 5 bands, but the model is built for 8"):
        preprocessor.fit({"hsi": x["hsi"][:, :5]}, labels)
    three = RasterPreprocessor({"hsi": 8}, {"hsi": [{"type": "Discriminants", "components": 3}]})
    with pytest.raises(InputError, match="3 components asked of 3 classes"):
        three.fit(*pixels())
    with pytest.raises(InputError, match=r"range 6\.\.8 lies outside bands 0\.\.7"):
        RasterPreprocessor({"hsi": 8}, {"hsi": [{"type": "SelectBands", "drop": [(6, 8)]}]})


@pytest.mark.parametrize("value", [-1e15, -9_999_999.0])
def test_a_value_that_decides_the_deviation_of_its_band_is_named(value):
    x, labels = pixels()
    x["hsi"][:2, 3] = np.nan
    names = {"hsi": [f"b{k}" for k in range(8)]}
    assert data_warning(x, labels, ["a", "b", "c"], names) == ""
    x["hsi"][7:9, 3] = value
    found = data_warning(x, labels, ["a", "b", "c"], names)
    assert found.startswith(
        f"2 of 300 training pixels have {value:g} in band b3 of 'hsi', whose other values"
    )
    x["hsi"][7:9] = value
    assert "and so in 5 more bands" in data_warning(x, labels, ["a", "b", "c"], names)
