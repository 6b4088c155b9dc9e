import numpy as np
import pytest
from rasterio.transform import from_origin
from source_counts import check_counts
from tiny_rasters import write_raster

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.scenes.source import data_roots
from m3amba_zoo.scenes.terramind import TerraMind

SIDE = 8
TILES = ("12D_3L_0_1", "7U_9R_2_2")
LABELS = np.zeros((2, SIDE, SIDE), np.uint8)
LABELS[0, :4], LABELS[0, 4:], LABELS[0, 0, 0] = 9, 1, 3  # 31 rangeland, 32 water, 1 flooded vegetation
LABELS[1, :], LABELS[1, 0, :4] = 7, 0  # 60 snow, 4 no data
BANDS = {"S2L2A": (12, np.int16), "S1RTC": (2, np.float64), "DEM": (1, np.int16)}


@pytest.fixture
def root(tmp_path):
    generator = np.random.default_rng(0)
    for tile, labels, crs in zip(TILES, LABELS, ("EPSG:32722", "EPSG:32616"), strict=True):
        grid = from_origin(700_000, 6_000_000, 10, 10), crs
        for folder, (count, dtype) in BANDS.items():
            data = generator.integers(1, 5000, (count, SIDE, SIDE)).astype(dtype)
            write_raster(tmp_path / folder / f"{tile}.tif", data, *grid)
        write_raster(tmp_path / "LULC" / f"{tile}.tif", labels[None], *grid)
    return tmp_path


def test_rare_classes_are_dropped_and_the_rest_renumbered(root):
    source = TerraMind(root, min_pixels=30)
    scenes = source.load()
    check_counts(source, scenes)
    assert [scene.name for scene in scenes] == list(TILES)
    assert [entry.name for entry in source.classes] == ["water", "snow/ice", "rangeland"]
    numbers = np.array([0, 1, 0, 0, 0, 0, 0, 2, 0, 3])
    np.testing.assert_array_equal([scene.labels for scene in scenes], numbers[LABELS])
    assert scenes[1].crs == "EPSG:32616"
    s2, s1 = scenes[0].rasters["s2"], scenes[0].rasters["s1"]
    assert (s2.data.shape, s1.data.shape) == ((12, SIDE, SIDE), (2, SIDE, SIDE))
    assert (s2.bands[8], s2.wavelengths[8], s2.unit) == ("B8A", 864.7, "reflectance x 10000")
    assert (s1.bands, s1.wavelengths, s1.unit) == (("VV", "VH"), None, "dB")


def test_no_threshold_keeps_every_class_that_occurs(root):
    source = TerraMind(root, min_pixels=0)
    source.load(rasters=False)
    assert [entry.name for entry in source.classes] == [
        "water",
        "flooded vegetation",
        "snow/ice",
        "rangeland",
    ]
    with pytest.raises(InputError, match="no class has min_pixels=61 pixels, 60 at most"):
        TerraMind(root, min_pixels=61).load()


def test_modalities_are_chosen_and_only_their_files_needed(root):
    source = TerraMind(root, ("dem", "s2"), 1)
    scene = source.load()[0]
    check_counts(source, [scene])
    assert list(scene.rasters) == ["dem", "s2"]
    (root / "S1RTC" / f"{TILES[0]}.tif").unlink()
    assert not TerraMind(root, min_pixels=1).load(rasters=False)[0].rasters
    with pytest.raises(DataNotFoundError, match=rf"S1RTC/{TILES[0]}\.tif not found; fetch"):
        TerraMind(root).load()
    with pytest.raises(InputError, match="no modality 'sar', it has s2, s1, dem"):
        TerraMind(root, ("s2", "sar"))


def test_files_that_do_not_fit_are_refused(root):
    path = root / "S1RTC" / f"{TILES[0]}.tif"
    write_raster(path, np.zeros((3, SIDE, SIDE)), from_origin(700_000, 6_000_000, 10, 10), "EPSG:32722")
    with pytest.raises(InputError, match=r"S1RTC.*: 3 bands, expected VV, VH"):
        TerraMind(root, min_pixels=1).load()
    write_raster(path, np.zeros((2, SIDE, SIDE)), from_origin(700_100, 6_000_000, 10, 10), "EPSG:32722")
    with pytest.raises(InputError, match=r"LULC.* and .*S1RTC.* lie apart by 10 pixels"):
        TerraMind(root, min_pixels=1).load()
    write_raster(root / "LULC" / f"{TILES[0]}.tif", np.full((1, SIDE, SIDE), 12, np.uint8))
    with pytest.raises(InputError, match=r"LULC.*: label 12 at row 0, column 0; 0 \(no data\) to 9"):
        TerraMind(root, min_pixels=1).load(rasters=False)


def test_bands_and_classes_are_known_without_files(tmp_path):
    source = TerraMind(tmp_path / "absent", ("dem", "s2"))
    assert source.channels() == {"dem": 1, "s2": 12}
    assert source.num_classes() == 7
    with pytest.raises(DataNotFoundError):
        TerraMind(tmp_path / "absent", min_pixels=50).num_classes()


def test_no_data_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("M3AMBA_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError, match=r"folder terramind under \$M3AMBA_DATA.*simulated"):
        TerraMind().load()


def test_real_tiles():
    source = TerraMind(modalities=("s2", "s1", "dem"))
    if not (source.root / "LULC").is_dir():
        pytest.skip(f"the TerraMind tiles are not in {' or '.join(str(base) for base in data_roots())}")
    scenes = source.load()
    check_counts(source, scenes)
    names = [entry.name for entry in source.classes]
    assert "flooded vegetation" not in names  # 90 pixels
    assert "clouds" not in names  # none
    assert len(names) == 7
    assert {scene.shape for scene in scenes} == {(224, 224)}
    assert len({scene.crs for scene in scenes}) == len(scenes) == 5
    snow = names.index("snow/ice") + 1
    assert sum(bool((scene.labels == snow).all()) for scene in scenes) == 1
    for scene in scenes:
        for modality, raster in scene.rasters.items():
            raster.check_finite(modality)
        assert scene.rasters["s1"].data.max() < 10  # dB, not amplitudes
        assert scene.rasters["s2"].data.min() >= 0
