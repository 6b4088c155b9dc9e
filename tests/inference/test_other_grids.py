"""From files on several grids to a map: trained from a scene.yaml, predicted by the command."""

import json

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin
from tiny_rasters import CRS, write_raster
from tiny_runs import LOADERS, REPOSITORY

from m3amba_zoo.cli.predict import main as predict
from m3amba_zoo.cli.train import main as train
from m3amba_zoo.errors import InputError
from m3amba_zoo.inference import Predictor

SHAPE, TEN = (24, 24), from_origin(500_000, 4_000_000, 10, 10)
NM = np.array([400.0, 500.0, 600.0, 700.0])
CONFIG = """
_base_ = ["{repository}/configs/_base_/default_runtime.py"]
source = dict(type="manifest", path="{scene}")
data = dict(source=source, split=dict(type="official"), modalities=("hsi", "sar"), window=8)
loader = dict(batch_size=8, num_workers=0, collate_fn=dict(type="default_collate"))
model = dict(
    type="M3amba",
    in_channels=dict(hsi=4, sar=1),
    num_classes=2,
    embed_dim=16,
    window=8,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=1, d_state=4),
    data_preprocessor=dict(type="RasterPreprocessor"),
)
{loaders}
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-2))
"""


def spectra(nm):
    """Return ``(bands, H, W)``: two classes in stripes, of which each spectrum is a straight line."""
    generator = np.random.default_rng(0)
    stripes = np.arange(SHAPE[1]) // 6 % 2
    level, slope = generator.normal([[1000], [1500]], 40, (2, 24 * 24)).reshape(2, *SHAPE)
    slope = slope * np.where(stripes == 1, 0.5, -0.3)
    return (level + slope * (np.asarray(nm)[:, None, None] - 400) / 300).astype(np.float32)


def write_bands(path, data, nm, transform=TEN):
    write_raster(path, data, transform)
    with rasterio.open(path, "r+") as file:
        for band, centre in enumerate(nm, start=1):
            file.update_tags(band, wavelength=centre, wavelength_units="nm")
    return path


def heights(transform, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    x, y = transform.c + transform.a * columns, transform.f + transform.e * rows
    return (0.02 * (x - 500_000) + 0.05 * (4_000_000 - y)).astype(np.float32)[None]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the scene's files and the work dir ``work``."""
    folder = tmp_path_factory.mktemp("grids")
    hsi = spectra(NM)
    for number in (0, 1):
        part = slice(2 * number, 2 * number + 2)
        write_bands(folder / f"hsi{number}.tif", hsi[part], NM[part])
    finer = from_origin(499_950, 4_000_050, 4, 4)
    write_raster(folder / "sar.tif", heights(finer, (90, 90)), finer)
    labels = np.tile(np.arange(24) // 6 % 2 + 1, (24, 1)).astype(np.uint8)[None]
    for name, rows in (("train", slice(0, 14)), ("test", slice(14, 24))):
        part = np.zeros_like(labels)
        part[:, rows] = labels[:, rows]
        write_raster(folder / f"{name}.tif", part, TEN)
    document = {
        "name": "two_grids",
        "modalities": {
            "hsi": {"paths": ["hsi0.tif", {"path": "hsi1.tif"}]},
            "sar": {"path": "sar.tif", "align": "bilinear"},
        },
        "train": {"path": "train.tif"},
        "test": {"path": "test.tif"},
        "classes": [{"name": "a"}, {"name": "b"}],
    }
    (folder / "scene.yaml").write_text(yaml.safe_dump(document))
    words = {"repository": REPOSITORY, "scene": folder / "scene.yaml", "loaders": LOADERS}
    (folder / "config.py").write_text(CONFIG.format(**words))
    train([str(folder / "config.py"), "--seed", "0", "--work-dir", str(folder / "work")])
    return folder


def class_map(folder, out, *options):
    rasters = dict(option.split("=", 1) for option in options if not option.startswith("--"))
    given = [f"--raster={name}={files}" for name, files in rasters.items()]
    flags = [option for option in options if option.startswith("--")]
    assert predict([str(folder / "work"), *given, *flags, "--out", str(out)]) == 0
    with rasterio.open(out) as file:
        assert (file.crs, file.transform) == (rasterio.crs.CRS.from_string(CRS), TEN)
        return file.read(1)


def test_training_and_prediction_align_alike(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(trained)
    stated = json.loads((trained / "work" / "metrics.json").read_text())["inputs"]
    assert stated["sar"]["stated"] == {"align": "bilinear"}
    assert stated["hsi"]["stated"]["grid"] is True
    found = class_map(trained, tmp_path / "map.tif", "sar=sar.tif", "hsi=hsi0.tif,hsi1.tif")
    assert set(np.unique(found)) == {1, 2}
    write_bands(tmp_path / "hsi.tif", spectra(NM), NM)
    write_raster(tmp_path / "sar.tif", heights(TEN, SHAPE), TEN)
    one_grid = class_map(trained, tmp_path / "one.tif", f"hsi={tmp_path}/hsi.tif", f"sar={tmp_path}/sar.tif")
    np.testing.assert_array_equal(found, one_grid)


def test_other_bands_are_resampled_on_request_only(trained, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(trained)
    nm = np.arange(388.0, 730, 24)
    fine = write_bands(tmp_path / "fine.tif", spectra(nm), nm)
    refusal = r"fine\.tif: its bands have the wavelengths 388, 412, .*those of 'hsi' in training have the "
    refusal += r"wavelengths 400, 500, 600, 700 nm; .*--match-bands .*--init-from"
    with pytest.raises(InputError, match=refusal):
        class_map(trained, tmp_path / "map.tif", f"hsi={fine}", "sar=sar.tif")
    found = class_map(trained, tmp_path / "map.tif", f"hsi={fine}", "sar=sar.tif", "--match-bands")
    assert "15 bands of 388-724 nm resampled to 4 bands of 400-700 nm" in caplog.text
    expected = class_map(trained, tmp_path / "own.tif", "hsi=hsi0.tif,hsi1.tif", "sar=sar.tif")
    np.testing.assert_array_equal(found, expected)
    short = write_bands(tmp_path / "short.tif", spectra(nm[:13]), nm[:13])
    with pytest.raises(
        InputError, match=r"1 of 4 bands of 400-700 nm lie outside of these \(the first at 700 nm"
    ):
        class_map(trained, tmp_path / "map.tif", f"hsi={short}", "sar=sar.tif", "--match-bands")


def test_the_user_chooses_grid_and_method(trained, tmp_path):
    predictor = Predictor(trained / "work", device="cpu")
    files = {"hsi": [trained / "hsi0.tif", trained / "hsi1.tif"], "sar": trained / "sar.tif"}
    with pytest.raises(InputError, match=r"hsi0.* and .* 90 x 90 pixels .* --align \(align: "):
        predictor.predict(files, grid="sar")
    prediction = predictor.predict(files, grid="sar", align="nearest")
    assert prediction.class_map.shape == (90, 90)
    assert set(prediction.inputs) == {str(trained / f"{name}.tif") for name in ("hsi0", "hsi1", "sar")}
    with pytest.raises(InputError, match="align: 'cubik', expected bilinear, cubic, nearest or average"):
        predictor.predict(files, align="cubik")
    with pytest.raises(InputError, match="the grid of 'dsm' is asked for, but the rasters are hsi, sar"):
        predictor.predict(files, grid="dsm")
    with pytest.raises(InputError, match=r"the array of 'sar' cannot be aligned .* is not georeferenced"):
        predictor.predict(files | {"sar": np.ones((1, 9, 9))})
