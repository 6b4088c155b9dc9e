"""Features of an encoder as a raster: bands found, units undone, read in any part, kept on disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rasterio.windows import Window
from tiny_sentinel import GALILEO, PLACE, SHAPE, encoded, sentinel_rasters

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.encoding import Recipe
from m3amba_zoo.splits import leak_note, load_scene_data

TIMM = {"type": "TimmEncoder", "name": "test_efficientnet", "weights": "random", "rgb": (0, 3000)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("M3AMBA_CACHE", str(tmp_path / "cache"))


def store_of(rasters, **options):
    """Open the features of rasters as a source and a Predictor do."""
    recipe = Recipe(**{"encoder": GALILEO, "window": 8, **options})
    shape = next(iter(rasters.values())).shape
    opened = {m: open_raster(raster, m) for m, raster in rasters.items()}
    known = {m: KnownBands.of(raster) for m, raster in rasters.items()}
    return recipe.open(opened, known, recipe.build_encoder(), Grid(shape, "EPSG:32617", PLACE, ""))


def features(rasters, **options):
    store = store_of(rasters, **options)
    return store.read(range(store.count), Window(0, 0, store.shape[1], store.shape[0])).values


def test_a_pixel_has_the_mean_of_its_patches_in_the_windows_that_show_it():
    rasters = sentinel_rasters()
    found = features(rasters, dtype="float32")
    assert found.shape == (32, *SHAPE)
    encoder = Recipe(GALILEO).build_encoder()
    x = np.full((13, *SHAPE), np.nan, np.float32)
    x[:2] = rasters["s1"].data
    x[2:12] = rasters["s2"].data[[1, 2, 3, 4, 5, 6, 7, 8, 10, 11]]
    total, times = np.zeros(found.shape), np.zeros(SHAPE)
    for top in range(0, 37, 4):  # the last row of windows ends at the border
        for left in [*range(0, 29, 4), 29]:
            window = torch.from_numpy(x[None, :, top : top + 8, left : left + 8])
            of_pixels = (
                encoder.patches(window, metres=10.0)[0].repeat_interleave(4, 1).repeat_interleave(4, 2)
            )
            total[:, top : top + 8, left : left + 8] += of_pixels.numpy()
            times[top : top + 8, left : left + 8] += 1
    np.testing.assert_allclose(found, total / times, atol=1e-5)


def test_any_part_is_bit_identical_with_any_number_of_threads():
    rasters = sentinel_rasters()
    whole = features(rasters)
    assert whole.dtype == np.float16
    store = store_of(rasters)
    for first, last, left, width in [(5, 6, 0, 37), (3, 20, 2, 9), (0, 3, 36, 1), (40, 44, 0, 37)]:
        part = store.read([7, 3], Window(left, first, width, last - first)).values
        np.testing.assert_array_equal(part, whole[[7, 3], first:last, left : left + width])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        np.testing.assert_array_equal(features(rasters), whole)
    finally:
        torch.set_num_threads(threads)


def test_a_raster_smaller_than_a_window_is_mirrored():
    rasters = sentinel_rasters(shape=(5, 6))
    mirrored = {
        m: replace(r, data=np.pad(r.data, ((0, 0), (0, 3), (0, 2)), mode="reflect"))
        for m, r in rasters.items()
    }
    np.testing.assert_array_equal(features(rasters), features(mirrored)[:, :5, :6])


def test_bands_are_found_by_wavelength_or_name_in_any_order_and_units_are_undone():
    rasters = sentinel_rasters()
    expected = features(rasters)
    s2, s1 = rasters["s2"], rasters["s1"]
    turned = s2.select(range(11, -1, -1))
    by_wavelength = replace(turned, bands=())
    by_name = replace(turned, wavelengths=None, bands=tuple(f"T32_2022_{name}" for name in turned.bands))
    for other in (by_wavelength, by_name):
        np.testing.assert_array_equal(features({"s1": s1, "optical": other}), expected)
    unnamed = replace(s1, bands=())
    np.testing.assert_array_equal(features({"s2": s2, "s1": unnamed}, names={"s1": ["VV", "VH"]}), expected)
    scaled = replace(s2, data=(s2.data / 1e4).astype(np.float32), unit="reflectance")
    power = replace(s1, data=(10 ** (s1.data / 10)).astype(np.float32), unit="power")
    np.testing.assert_allclose(features({"s2": scaled, "s1": power}), expected, atol=0.02)
    stated = replace(scaled, unit="")
    np.testing.assert_allclose(
        features({"s2": stated, "s1": s1}, units={"s2": "reflectance"}), expected, atol=0.02
    )


def test_pixels_that_no_raster_shows_have_no_features_and_gaps_are_filled():
    rasters = sentinel_rasters()
    radar = rasters["s1"].data.copy()
    radar[:, 2:6, 2:6] = np.nan
    optical = rasters["s2"].data.copy()
    optical[:, 3:5, 3:5] = -1
    gaps = {
        "s1": replace(rasters["s1"], data=radar),
        "s2": replace(rasters["s2"], data=optical, nodata=-1),
    }
    missing = np.isnan(features(gaps))
    assert missing[:, 3:5, 3:5].all()
    assert missing.sum() == 4 * 32
    only_s2 = features({"s2": rasters["s2"]})
    np.testing.assert_array_equal(features(rasters, of=["s2"]), only_s2)
    assert not np.array_equal(only_s2, features(rasters))


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (
            {"s2": lambda r: r.select(range(10))},
            {},
            r"needs B11 \(1614 nm\) of Sentinel-2, but the nearest band, of 's2', is at 945 nm, 669 nm away "
            "where at most 20 nm are allowed",
        ),
        ({"s1": lambda r: r.select([0])}, {}, r"needs VH of Sentinel-1, but 's1' has VV"),
        (
            {"s2": lambda r: replace(r, data=r.data / 1e4)},
            {},
            r"values of 's2' \(s2.tif\) are .* not reflectance x 10000",
        ),
        ({"s1": lambda r: replace(r, data=abs(r.data))}, {}, "'s1'.* which is not dB"),
        (
            {"s2": lambda r: replace(r, unit="radiance")},
            {},
            "unit of 's2'.* is 'radiance', expected 'reflectance'",
        ),
        ({"s1": lambda r: replace(r, data=np.full_like(r.data, np.inf))}, {}, "values that are infinite"),
        ({}, {"of": ["dem"]}, "'dem', but the rasters are s2, s1"),
        ({}, {"names": {"s1": ["VV"]}}, "names has 1 for 's1', which has 2 bands"),
        ({}, {"window": 6}, "6 x 6 pixels cannot be divided into patches of 4 x 4 .* 4, such as 8"),
        ({}, {"stride": 9}, "window is 8 and stride is 9"),
        ({}, {"encoder": {"type": "StreamHead", "embed_dim": 2, "num_classes": 2}}, "is no encoder of bands"),
        ({}, {"encoder": {**TIMM, "rgb": None}}, r"TimmEncoder needs rgb=\(low, high\)"),
        ({}, {"encoder": {**TIMM, "rgb": (0, 1)}}, r"'s2' .* takes 0 for black and 1 for white .* rgb=\(\d"),
        (
            {"s2": lambda r: replace(r, data=r.data / 1e4)},
            {"encoder": TIMM},
            r"'s2' .* are 0.0\d+ to 0.\d+ .* 0 for black and 3000 for white",
        ),
        (
            {"s2": lambda r: replace(r.select([1, 2, 3]), wavelengths=np.array([430.0, 560, 665]))},
            {"encoder": TIMM},
            r"needs blue \(490 nm\), but .* is at 430 nm, 60 nm away where at most 50 nm are allowed; "
            "expected names= of the source, which says which band is blue",
        ),
        (
            {},
            {"encoder": TIMM, "names": {"s2": {"blue": 12}}},
            "band 12 for 'blue', but 's2' has bands 0 to 11",
        ),
    ],
)
def test_bad_input_ends_in_one_sentence(change, options, said):
    rasters = sentinel_rasters()
    rasters |= {m: made(rasters[m]) for m, made in change.items()}
    with pytest.raises(InputError, match=said):
        features(rasters, **options)


def test_rasters_without_any_band_of_the_encoder_are_refused():
    rasters = {m: replace(r, bands=(), wavelengths=None) for m, r in sentinel_rasters().items()}
    with pytest.raises(InputError, match="finds none of them: 's2' has 12 bands without names"):
        features(rasters)


def test_an_encoder_of_photographs_takes_red_green_and_blue_of_the_scene():
    s2 = sentinel_rasters()["s2"]
    found = features({"s2": s2}, encoder=TIMM, stride=8, dtype="float32")
    encoder = Recipe(TIMM).build_encoder()
    window = torch.from_numpy(s2.data[[3, 2, 1], :8, :8].astype(np.float32))[None]
    patches = encoder.patches(window)[0].numpy()
    assert patches.shape[1:] == (5, 5)
    of_pixels = [0, 0, 1, 2, 2, 3, 4, 4]  # the patch that holds a pixel's centre
    np.testing.assert_allclose(found[:, :8, :8], patches[:, of_pixels][:, :, of_pixels], atol=1e-5)
    camera = replace(s2.select([3, 2, 1]), wavelengths=np.array([620.0, 530, 450]))
    np.testing.assert_array_equal(features({"rgb": camera}, encoder=TIMM, stride=8, dtype="float32"), found)
    unknown = replace(s2, wavelengths=None, bands=())
    named = {"s2": {"red": 3, "green": 2, "blue": 1}}
    given = features({"s2": unknown}, encoder=TIMM, stride=8, dtype="float32", names=named)
    np.testing.assert_array_equal(given, found)


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("features/*.npy")}


def test_a_source_keeps_features_on_disk_until_anything_that_decides_them_changes(tmp_path):
    source = SOURCES.build(encoded())
    assert source.channels() == {"s2": 12, "s1": 2, "galileo": 32}
    assert source.load(rasters=False)[0].rasters == {}
    first = np.array(source.load()[0].rasters["galileo"].data)
    np.testing.assert_array_equal(first, features(sentinel_rasters()))
    kept = files(tmp_path / "cache")
    assert len(kept) == 1
    SOURCES.build(encoded()).load()
    assert files(tmp_path / "cache") == kept
    (path,) = (tmp_path / "cache").glob("features/*.npy")
    path.write_bytes(path.read_bytes()[:-100])  # cut short: computed again
    np.testing.assert_array_equal(SOURCES.build(encoded()).load()[0].rasters["galileo"].data, first)
    changes = [
        {"encoder": {**GALILEO, "seed": 1}},
        {"encoder": {**GALILEO, "patch": 2}},
        {"encoder": {**GALILEO, "month": 1}},
        {"window": 12},
        {"stride": 8},
        {"of": ["s1"]},
        {"metres": 20.0},
        {"dtype": "float32"},
    ]
    for number, change in enumerate(changes, start=2):
        SOURCES.build(encoded(**change)).load()
        assert len(files(tmp_path / "cache")) == number, change
    SOURCES.build(encoded(source={"type": "tiny_sentinel", "scenes": 2})).load()  # one more scene
    assert len(files(tmp_path / "cache")) == len(changes) + 2


def test_the_data_of_a_run_say_which_encoder_made_the_features():
    data = load_scene_data(encoded(), {"type": "official"})
    assert data.name == "tiny_sentinel"
    of = data.encoded["galileo"]
    assert (len(of.fingerprint), of.read_from) == (64, ("s2", "s1"))


@pytest.mark.parametrize("window", [1, 4, 5])
def test_the_guard_that_removes_the_leak_of_features_is_said(window):
    source = encoded(source={"type": "tiny_sentinel"})
    said = leak_note(load_scene_data(source, {"type": "blocks", "size": 6, "guard": 1}), window, ["galileo"])
    assert f"show {window + 14} x {window + 14} pixels" in said
    guard = window // 2 + 7
    assert f"a guard of {guard} pixels removes them" in said
    split = {"type": "blocks", "size": 16, "guard": guard}
    assert leak_note(load_scene_data(source, split), window, ["galileo"]) == ""


def test_a_name_that_the_scenes_have_is_refused_and_so_is_an_unknown_option():
    with pytest.raises(InputError, match="name is 's1', but the scenes of 'tiny_sentinel' have s2, s1"):
        SOURCES.build(encoded(name="s1")).channels()
    with pytest.raises(InputError, match="unexpected keyword argument 'windows'"):
        SOURCES.build(encoded(windows=3))
