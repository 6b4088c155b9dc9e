"""MMLSv2 from small files in the layout of the published tiles."""

import numpy as np
import pytest
from rasterio.transform import from_origin
from source_counts import check_counts
from tiny_rasters import write_raster

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.scenes.mmlsv2 import MMLSv2
from m3amba_zoo.scenes.source import data_roots

SIDE, PIXEL = 128, 232
MARS = (
    'PROJCS["SimpleCylindrical_Mars",GEOGCS["GCS_Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
    'PARAMETER["central_meridian",0],PARAMETER["false_easting",0],PARAMETER["false_northing",0],'
    'UNIT["metre",1]]'
)
TILES = ("col00000_row00001", "col00002_row00001")
LANDSLIDE = (300, SIDE)
FOLDERS = {"OPT": (4, np.uint8), "DEM": (1, np.int16), "THERM": (1, np.uint8)}


def place(index):
    return from_origin(-5_513_958.34 + 2 * index * SIDE * PIXEL, -251_619.23, PIXEL, PIXEL)


def labels(landslide):
    return np.where(np.arange(SIDE**2) < landslide, 2, 1).astype(np.uint8).reshape(1, SIDE, SIDE)


def write_tile(root, folder, index, data, transform=None):
    return write_raster(root / folder / f"{TILES[index]}.tif", data, transform or place(index), MARS)


def write_table(root, rows):
    lines = ["tile,official_split,col,row,x_ul_m,y_ul_m,landslide_px"]
    lines += [f"{tile}.tif,train,0,1,0,0,{landslide}" for tile, landslide in rows]
    (root / "tiles.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path):
    generator = np.random.default_rng(0)
    for index in (1, 0):
        for folder, (bands, dtype) in FOLDERS.items():
            data = generator.integers(1, 255, (bands, SIDE, SIDE)).astype(dtype)
            data[-1, :, 0] = 0  # nodata in OPT's gray and in THERM; an elevation in DEM
            write_tile(tmp_path, folder, index, data)
        write_tile(tmp_path, "LABEL", index, labels(LANDSLIDE[index]))
    write_table(tmp_path, zip(TILES[::-1], LANDSLIDE[::-1], strict=True))
    return tmp_path


def test_tiles_are_scenes_with_their_missing_values_and_their_place(root):
    source = MMLSv2(root)
    scenes = source.load()
    check_counts(source, scenes)
    assert source.num_classes() == 2
    assert [scene.name for scene in scenes] == list(TILES)
    for index, scene in enumerate(scenes):
        assert {name: raster.data.dtype for name, raster in scene.rasters.items()} == {
            "opt": np.uint8,
            "dem": np.int16,
            "therm": np.uint8,
        }
        missing = {name: raster.missing().sum(axis=(1, 2)) for name, raster in scene.rasters.items()}
        assert {name: counts.tolist() for name, counts in missing.items()} == {
            "opt": [0, 0, 0, SIDE],
            "dem": [0],
            "therm": [SIDE],
        }
        assert (scene.labels == 2).sum() == LANDSLIDE[index]
        assert (scene.labels == 1).sum() == SIDE**2 - LANDSLIDE[index]
        assert scene.transform == place(index)
        assert scene.official is None
    assert scenes[0].crs == scenes[1].crs
    assert "Mars" in scenes[0].crs


def test_only_the_files_of_the_chosen_modalities_are_needed(root):
    for path in (root / "OPT").glob("*"):
        path.unlink()
    source = MMLSv2(root, ("therm", "dem"))
    assert source.channels() == {"therm": 1, "dem": 1}
    check_counts(source, source.load())
    assert not MMLSv2(root).load(rasters=False)[0].rasters
    with pytest.raises(DataNotFoundError, match=r"OPT/col00000_row00001\.tif and 1 more files not found"):
        MMLSv2(root).load()
    with pytest.raises(InputError, match="mmlsv2 has no modality 'slope', it has opt, dem, therm"):
        MMLSv2(root, ("slope",))
    with pytest.raises(DataNotFoundError, match=r"tiles\.csv not found"):
        MMLSv2(root / "nowhere").load()


def lose(root):
    (root / "THERM" / f"{TILES[1]}.tif").unlink()


def shrink(root):
    write_tile(root, "DEM", 1, np.zeros((1, SIDE, SIDE - 1), np.int16))


def lose_a_band(root):
    write_tile(root, "OPT", 0, np.ones((3, SIDE, SIDE), np.uint8))


def shift(root):
    write_tile(root, "THERM", 0, np.ones((1, SIDE, SIDE), np.uint8), place(1))


def unlabel(root):
    data = labels(LANDSLIDE[0])
    data[0, 3, 5] = 0
    write_tile(root, "LABEL", 0, data)


def relabel(root):
    write_tile(root, "LABEL", 0, labels(299))


def unlist(root):
    write_table(root, [(TILES[0], LANDSLIDE[0])])


def repeat(root):
    write_table(root, [(TILES[0], 300), (TILES[0], 300)])


def cut_the_table(root):
    (root / "tiles.csv").write_text("tile,official_split\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, r"THERM/col00002_row00001\.tif not found; fetch the dataset MMLSv2"),
        (
            shrink,
            r"DEM/col00002_row00001\.tif: 1 x 128 x 127 \(bands, rows, columns\), expected 1 x 128 x 128",
        ),
        (lose_a_band, r"OPT/col00000_row00001\.tif: 3 x 128 x 128 .*, expected 4 x 128 x 128"),
        (shift, r"LABEL/col00000_row00001\.tif and .*THERM/col00000_row00001\.tif lie apart by 256 pixels"),
        (unlabel, r"LABEL/col00000_row00001\.tif: label 0 at row 3, column 5; 1 \(none\) or 2 \(landslide\)"),
        (relabel, r"LABEL/col00000_row00001\.tif: 299 landslide pixels, but tiles\.csv says 300"),
        (unlist, r"LABEL/col00002_row00001\.tif: .*tiles\.csv has no row of this tile, it lists 1 tiles"),
        (
            repeat,
            r"tiles\.csv, line 3: tile 'col00000_row00001\.tif' with '300' landslide pixels; a tile that",
        ),
        (cut_the_table, r"tiles\.csv: no column 'landslide_px', the file has tile, official_split"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(root, damage, message):
    damage(root)
    with pytest.raises(InputError, match=message):
        MMLSv2(root).load()


@pytest.mark.slow
def test_the_published_tiles():
    folder = next((base / "mmlsv2" for base in data_roots() if (base / "mmlsv2").is_dir()), None)
    if folder is None:
        pytest.skip("no mmlsv2 in the data roots")
    source = MMLSv2(folder)
    scenes = source.load()
    check_counts(source, scenes)
    counts = sum(np.bincount(scene.labels.ravel(), minlength=3) for scene in scenes)
    assert (len(scenes), counts.tolist()) == (531, [0, 5_661_406, 3_038_498])
    for name, (lowest, highest) in {"dem": (-5834, 6988), "therm": (0, 254)}.items():
        values = [scene.rasters[name].data for scene in scenes]
        assert (min(x.min() for x in values), max(x.max() for x in values)) == (lowest, highest)
