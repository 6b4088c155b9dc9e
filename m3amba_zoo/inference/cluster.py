"""Rows of a map classified by the workers of a Dask cluster, on this machine or on many.

Each worker loads the model once. A worker that dies costs its rows again and nothing else: Dask gives them to
another one. The rows do not depend on who classifies them (``RowClassifier``).
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.resolve import FoundModel
from m3amba_zoo.inference.map_files import Bands, bands_of
from m3amba_zoo.maps.products import Product, product
from m3amba_zoo.rasters.opening import GivenRaster
from m3amba_zoo.rasters.request import RasterRequest, request_of

if TYPE_CHECKING:
    from distributed import Client

    from m3amba_zoo.inference.predictor import Predictor

WINDOWS_PER_TASK = 16
"""Rows of windows, side by side, of a task: at its upper end one more is classified, a few percent."""
TASKS_PER_WORKER = 2
"""In flight, so that no worker waits and finished rows do not pile up."""
LOCAL = "local"
ModelFiles = FoundModel | tuple[Path, Path]
SECONDS_TO_ANSWER = 20


@dataclass(frozen=True)
class Task:
    """What a worker needs to classify rows: files that it can reach, and options; see ``Predictor``.

    Attributes:
        model: a folder, and what was published under its name; or a config and weights.
        rasters: by modality, with absolute paths.
        options: of ``Predictor.open``.
        half: see ``write_map``.
    """

    model: ModelFiles
    rasters: tuple[tuple[str, RasterRequest], ...]
    options: tuple[tuple[str, Any], ...]
    half: bool


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """Connect to a cluster, or start one on this machine for the time of the block.

    Args:
        address: of a scheduler, such as ``tcp://10.0.0.5:8786``; or ``local``, one worker per core, or
            ``local:N``, N workers.

    Raises:
        InputError: if dask.distributed is not installed, the address is none, or nobody answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            "dask: dask.distributed is not installed; expected `pip install 'm3amba_zoo[dask]'`"
        ) from error
    kind, _, count = address.partition(":")
    if kind == LOCAL and (count and not (count.isdigit() and int(count))):
        raise InputError(f"dask is '{address}', expected local, local:N with N workers, or an address")
    if kind == LOCAL:
        options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
        try:
            cluster = LocalCluster(n_workers=int(count) if count else None, **options)
        except RuntimeError as error:  # where a script starts processes while it is imported by them
            raise InputError(
                f"dask: no process can be started ({error}); a script should call this under "
                "`if __name__ == '__main__':`"
            ) from error
        with cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=SECONDS_TO_ANSWER)
    except (OSError, ValueError) as error:
        raise InputError(f"dask: no scheduler answers at '{address}' ({error})") from error
    with client:
        yield client


def rows_on_cluster(
    client: Client, task: Task, window: int, height: int
) -> Callable[[Mapping[str, Product], int], Iterator[Bands]]:
    """Return who classifies rows for ``write_map``: the cluster's workers.

    Args:
        client: of the cluster.
        task: what workers need.
        window: S, the side of the model's windows.
        height: rows of the map.
    """

    def rows(products: Mapping[str, Product], first: int) -> Iterator[Bands]:
        starts = iter(range(first, height, WINDOWS_PER_TASK * window))
        waiting: deque = deque()
        while True:
            most = TASKS_PER_WORKER * max(len(client.scheduler_info()["workers"]), 1)
            while len(waiting) < most and (start := next(starts, None)) is not None:
                last = min(start + WINDOWS_PER_TASK * window, height)
                waiting.append(client.submit(_classify, task, tuple(products), start, last, pure=False))
            if not waiting:
                return
            yield waiting.popleft().result()

    return rows


def reachable(rasters: Mapping[str, GivenRaster]) -> tuple[tuple[str, RasterRequest], ...]:
    """Return requests that hold in another process, whatever its folder.

    Raises:
        InputError: if a raster is an array.
    """
    requests = []
    for modality, given in rasters.items():
        given = request_of(given, f"the raster of '{modality}'")
        if not isinstance(given, RasterRequest):
            raise InputError(f"the raster of '{modality}' is an array; with dask a file is expected")
        parts = tuple(replace(part, path=_absolute(part.path)) for part in given.parts)
        requests.append((modality, replace(given, path=_absolute(given.path), parts=parts)))
    return tuple(requests)


def _absolute(path: str) -> str:
    """Return the absolute path of a file; another name of GDAL's as it is."""
    return os.path.abspath(path) if Path(path).exists() else path


def _classify(task: Task, products: Sequence[str], first: int, last: int) -> Bands:
    """Classify rows ``first .. last - 1`` on a worker."""
    torch.set_num_threads(1)  # there is a worker per core
    logging.getLogger("m3amba_zoo").setLevel(logging.ERROR)  # what is to be said has been said
    predictor = _load(task.model)
    made = {name: product(name, predictor.classes, None, None, {}, task.half) for name in products}
    with predictor.open(dict(task.rasters), **dict(task.options)) as job:
        parts = list(bands_of(job.classifier.classify(first, last), made))
    return {name: np.concatenate([bands[name] for bands in parts], axis=1) for name in products}


@lru_cache(maxsize=1)
def _load(model: ModelFiles) -> Predictor:
    """Load the model of a task, once per worker."""
    from m3amba_zoo.inference.predictor import Predictor

    if isinstance(model, FoundModel):
        return Predictor(model, device="cpu")
    config, weights = model
    return Predictor.from_files(config, weights, device="cpu")
