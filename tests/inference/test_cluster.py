"""Rows spread over the workers of a Dask cluster: the same map, even if a worker is killed."""

import os
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from test_predictor import write_work_dir
from tiny_rasters import write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.inference import Predictor, cluster


@pytest.fixture
def folder(tmp_path):
    write_work_dir(tmp_path / "work")
    generator = np.random.default_rng(0)
    for name, bands in (("hsi", 6), ("sar", 2)):
        data = generator.normal(1000, 300, (bands, 300, 40)).astype(np.float32)
        data[:, 100:130] = np.nan
        if name == "sar":
            data[:, 120:160, :9] = np.nan
        write_raster(tmp_path / f"{name}.tif", data)
    return tmp_path


def rasters(folder):
    return {name: folder / f"{name}.tif" for name in ("hsi", "sar")}


def contents(path):
    return [path.with_name(f"{path.stem}{end}.tif").read_bytes() for end in ("", "_probabilities")]


def test_the_map_is_that_of_one_process_even_if_a_worker_dies(folder, monkeypatch):
    predictor = Predictor(folder / "work", device="cpu")
    predictor.predict_map(rasters(folder), folder / "one.tif", ["probabilities"], need="all")
    clients, done = [], []

    @contextmanager
    def remember(address):
        with cluster.connect(address) as client:
            clients.append(client)
            yield client

    def kill_a_worker(pixels, total):
        done.append(pixels)
        if len(done) == 2:
            os.kill(next(iter(clients[0].run(os.getpid).values())), signal.SIGKILL)

    monkeypatch.setattr("m3amba_zoo.inference.predictor.connect", remember)
    options = {"progress": kill_a_worker, "dask": "local:2", "need": "all"}
    predictor.predict_map(rasters(folder), folder / "two.tif", ["probabilities"], **options)
    assert len(done) == 4, "300 rows are three tasks of 128 rows"
    assert contents(folder / "one.tif") == contents(folder / "two.tif")
    with rasterio.open(folder / "two.tif") as file:
        class_map = file.read(1)
    assert len(np.unique(class_map)) == 4
    assert not class_map[130:160, :9].any()


@pytest.mark.parametrize(
    ("address", "given", "message"),
    [
        ("local:none", rasters, "dask is 'local:none', expected local, local:N"),
        ("tcp://127.0.0.1:1", rasters, "dask: no scheduler answers at 'tcp://127.0.0.1:1'"),
        (
            "local:1",
            lambda folder: {"hsi": np.ones((6, 9, 9)), "sar": np.ones((2, 9, 9))},
            "'hsi' is an array",
        ),
    ],
)
def test_a_wrong_address_and_arrays_are_refused(folder, address, given, message, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_ANSWER", 1)
    with pytest.raises(InputError, match=message):
        Predictor(folder / "work", device="cpu").predict_map(given(folder), folder / "m.tif", dask=address)
    assert not list(folder.glob("m.tif*"))
