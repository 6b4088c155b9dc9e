"""The wheel, installed without the checkout: what it holds, and a user's first steps with it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

REPOSITORY = Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "data", "model_cards", "work_dirs"
)


def pip(*arguments):
    offline = ("--no-index", "--no-deps", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", *arguments, "-q", *offline], check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, because a build leaves files in its folder."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY, folder / "checkout", ignore=NOT_COPIED)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "checkout"))
    shutil.rmtree(folder / "checkout")
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_the_package_and_its_configs_and_nothing_of_the_workshop(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if ".dist-info/" not in name}
    expected = {"m3amba_zoo/py.typed", "m3amba_zoo/hub/published.json"}
    expected |= {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "m3amba_zoo").rglob("*.py")}
    pages = (REPOSITORY / "m3amba_zoo/reporting/page").iterdir()
    expected |= {str(path.relative_to(REPOSITORY)) for path in pages}
    configs = [path for path in (REPOSITORY / "configs").rglob("*.*") if path.suffix != ".pyc"]
    expected |= {f"m3amba_zoo/{path.relative_to(REPOSITORY)}" for path in configs}
    plans = {f"m3amba_zoo/configs/{name}.py" for name in ("leaderboard", "encoders")}
    assert held == expected - plans, "plans need the workshop"


def test_a_user_without_the_checkout_lists_trains_predicts_and_splits(wheel, tmp_path):
    site, here = tmp_path / "site", tmp_path / "here"
    here.mkdir()
    pip("install", "--no-compile", "--target", str(site), str(wheel))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("M3AMBA_")}
    environment["PYTHONPATH"] = str(site)

    def run(*command):
        done = subprocess.run(
            [sys.executable, *command], cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def m3amba(*arguments):
        return run(str(site / "bin" / "m3amba"), *arguments)

    assert run("-c", "import m3amba_zoo; print(m3amba_zoo.__file__)").startswith(str(site))
    assert "m3amba_houston" in m3amba("configs")
    m3amba("configs", "m3amba_demo", "--to", "my.py")
    small = ["source.height=64", "source.width=128", "source.bands=8", "test_dataloader.dataset.overlap=0"]
    short = ["train_cfg.max_epochs=2", "train_dataloader.dataset.windows_per_epoch=32"]
    assert "test: oa" in m3amba("train", "m3amba_demo", "--cfg-options", *small, *short)
    rasters = {"hsi": np.random.default_rng(0).random((8, 40, 30)), "lidar": np.ones((1, 40, 30))}
    for name, data in rasters.items():
        profile = {"driver": "GTiff", "count": len(data), "height": 40, "width": 30, "dtype": "float32"}
        with rasterio.open(here / f"{name}.tif", "w", **profile) as file:
            file.write(data.astype(np.float32))
    given = [part for name in rasters for part in ("--raster", f"{name}={name}.tif")]
    m3amba("predict", "work_dirs/m3amba_demo", *given, "--out", "map.tif")
    with rasterio.open(here / "map.tif") as file:
        assert file.read(1).min() >= 1
    made = m3amba("split", "make", "simulated", "--split", "official", "--out", "official.npz")
    assert "wrote official.npz" in made
    assert {path.name for path in here.iterdir()} == {
        "my.py",
        "work_dirs",
        "hsi.tif",
        "lidar.tif",
        "map.tif",
        "map.tif.aux.xml",
        "official.npz",
    }
