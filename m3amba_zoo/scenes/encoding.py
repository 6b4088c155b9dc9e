"""How the features of a frozen encoder become a raster: the recipe, which training and prediction share."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.crs import metres_per_unit
from m3amba_zoo.rasters.encoded import Encode, Encoded
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opened import OpenRaster
from m3amba_zoo.registry import BACKBONES
from m3amba_zoo.system import one_thread_per_operation

ENCODED = "encoded"
"""The name of the source that adds features to the scenes of another."""
WINDOWS_AT_ONCE = {"cpu": 4, "cuda": 256}
OF_PLACE = ("weights", "cache_dir", "seed")
"""Options of an encoder that say where its weights are; the fingerprint says which they are."""
DTYPES = ("float16", "float32")
USUAL_METRES = 10.0


@dataclass(frozen=True)
class Recipe:
    """What a raster of features is made by.

    Args:
        encoder: config of a part of ``BACKBONES`` that needs bands of named sensors.
        name: of the modality.
        window: rows and columns of the encoder's windows in pixels.
        stride: from one window to the next; None takes half a window.
        of: the modalities that are offered to the encoder; None offers all.
        names: of the bands of a modality, where its files have none, by modality: all in order, or the
            numbers from 0 of those that the encoder reads, such as ``dict(red=30, green=20, blue=10)``.
        units: of a modality's values, where its files have none, by modality; see ``needed_bands.py``.
        metres: rows and columns of a pixel on the ground. None takes those of the rasters' grid, and 10 m
            where it is not known.
        dtype: of the features, ``float16`` or ``float32``.

    Raises:
        InputError: if an option is out of range.
    """

    encoder: Mapping[str, Any]
    name: str = "features"
    window: int = 16
    stride: int | None = None
    of: tuple[str, ...] | None = None
    names: Mapping[str, tuple[str, ...] | Mapping[str, int]] | None = None
    units: Mapping[str, str] | None = None
    metres: float | None = None
    dtype: str = "float16"

    def __post_init__(self) -> None:
        if self.window < 1 or not 1 <= self.step <= self.window:
            raise InputError(
                f"encoded: window is {self.window} and stride is {self.step}, expected a window of at "
                "least 1 pixel and a stride of 1 to a window"
            )
        if self.dtype not in DTYPES:
            raise InputError(f"encoded: dtype is '{self.dtype}', expected {' or '.join(DTYPES)}")

    @classmethod
    def of_source(cls, source: Mapping[str, Any] | None) -> Recipe | None:
        """Return the recipe in the config of a source; None if that adds no features."""
        if not source or source.get("type") != ENCODED:
            return None
        return cls(**{field.name: source[field.name] for field in fields(cls) if field.name in source})

    @property
    def step(self) -> int:
        """The stride in pixels."""
        return max(1, self.window // 2) if self.stride is None else self.stride

    @property
    def offered(self) -> tuple[str, ...] | None:
        """The modalities that are offered to the encoder; None for all."""
        return None if self.of is None else tuple(self.of)

    def build_encoder(self) -> Any:
        """Build the encoder.

        Raises:
            InputError: if it is none, or does not say which bands it reads; or its weights cannot be found
                or read.
        """
        encoder = BACKBONES.build(dict(self.encoder))
        needs = getattr(encoder, "needs", None)
        if needs is None:
            raise InputError(
                f"encoded: {self.encoder.get('type')} is no encoder of bands; expected one such as "
                "GalileoEncoder or TimmEncoder ('m3amba encoder' lists them)"
            )
        if needs.pseudo_rgb:
            raise InputError(
                f"encoded: {self.encoder.get('type')} needs rgb=(low, high), the values of the raster "
                "that are black and white in its red, green and blue (without rgb it is model.encoder of an "
                "M3amba)"
            )
        return encoder

    def feature_dim(self) -> int:
        """Return how many features the encoder gives; weights are read only if its config does not tell."""
        config = dict(self.encoder)
        BACKBONES.check(str(config.get("type")))
        tell = getattr(BACKBONES.get(str(config.pop("type"))), "known_feature_dim", None)
        known = tell(**config) if tell else None
        return known or self.build_encoder().feature_dim

    def open(
        self, opened: Mapping[str, OpenRaster], known: Mapping[str, KnownBands], encoder: Any, place: Grid
    ) -> Encoded:
        """Return the features of rasters.

        Args:
            opened: the rasters by modality, on one grid.
            known: what is known of their bands.
            encoder: as ``build_encoder`` returned it, on its device.
            place: the common grid.

        Raises:
            InputError: as ``Encoded``.
        """
        for modality in (*(self.of or ()), *(self.names or ()), *(self.units or ())):
            if modality not in opened:
                raise InputError(
                    f"encoded: of, names or units has '{modality}', but the rasters are {', '.join(opened)}"
                )
        read = self.offered or tuple(opened)
        whose = type(encoder).__name__
        store = Encoded(
            {modality: opened[modality] for modality in read},
            {modality: self._completed(modality, known[modality]) for modality in read},
            encoder.needs.bands,
            whose,
            batched(encoder, self.metres_of(place)),
            encoder.feature_dim,
            self.window,
            self.step,
            self.dtype,
        )
        for modality in self.offered or ():
            if modality not in store.read_from:
                raise InputError(
                    f"encoded: {whose} finds none of its bands in '{modality}'; leave it out of 'of'"
                )
        return store

    def metres_of(self, place: Grid) -> float:
        """Return the rows and columns of a pixel in m."""
        unit = metres_per_unit(place.crs)
        if self.metres is not None:
            return self.metres
        if place.transform is None or unit is None:
            print_log(f"encoded: pixels are taken for {USUAL_METRES:g} m, the grid does not tell", "current")
            return USUAL_METRES
        return float(f"{abs(place.transform.determinant) ** 0.5 * unit:.6g}")

    def key(self, store: Encoded, encoder: Any, place: Grid) -> dict[str, Any]:
        """Return all that decides the features, as JSON values."""
        kept = {name: value for name, value in self.encoder.items() if name not in OF_PLACE}
        return {
            "data": store.data_sha256(),
            "encoder": kept,
            "fingerprint": hexadecimal(encoder),
            "window": self.window,
            "stride": self.step,
            "metres": self.metres_of(place),
            "dtype": self.dtype,
        }

    def _completed(self, modality: str, known: KnownBands) -> KnownBands:
        """Return what is known of a modality's bands, with what the recipe states of them."""
        unit = (self.units or {}).get(modality, known.unit)
        if modality not in (self.names or {}):
            return KnownBands(known.count, known.names, known.wavelengths, unit=unit)
        stated = (self.names or {})[modality]
        if isinstance(stated, Mapping):
            numbered = [f"#{number}" for number in range(known.count)]
            for name, number in stated.items():
                if number not in range(known.count):
                    raise InputError(
                        f"encoded: names has band {number} for '{name}', but '{modality}' has bands 0 to "
                        f"{known.count - 1}"
                    )
                numbered[number] = name
            stated = tuple(numbered)
        if len(stated) != known.count:
            raise InputError(
                f"encoded: names has {len(stated)} for '{modality}', which has {known.count} bands"
            )
        return KnownBands(known.count, tuple(stated), unit=unit)


def hexadecimal(encoder: Any) -> str:
    """Return an encoder's fingerprint as text."""
    return bytes(encoder.fingerprint.tolist()).hex()


def batched(encoder: Any, metres: float) -> Encode:
    """Return a function from windows to features.

    Batches have a fixed size, and on a CPU each is encoded by one thread: the features are the same to the
    last bit on any number of threads.

    Args:
        encoder: on its device.
        metres: rows and columns of a pixel.
    """
    device = encoder.fingerprint.device
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    size = WINDOWS_AT_ONCE.get(device.type, WINDOWS_AT_ONCE["cpu"])

    @torch.no_grad()
    def of_batch(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        return encoder.patches(torch.from_numpy(windows).to(device), metres=metres).float().cpu().numpy()

    def encode(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        batches = [windows[first : first + size] for first in range(0, len(windows), size)]
        with one_thread_per_operation(), ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(of_batch, batches)))

    return encode
