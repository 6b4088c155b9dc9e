"""Pixels of a map that lack a modality: some raster shows them, another does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import OpenRaster

BYTES_AT_ONCE = 2**26


class Lacking(NamedTuple):
    """How many pixels lack a modality, which is missing there in all of its bands.

    Attributes:
        pixels: that some raster shows.
        without: those of them that lack a modality, by modality.
    """

    pixels: int
    without: Mapping[str, int]

    def told(self, modality: str) -> str:
        """Say what share of the pixels lacks a modality, and how many they are."""
        count = self.without[modality]
        return f"{100 * count / max(self.pixels, 1):.3g} % ({count:,} of {self.pixels:,})"

    def tags(self, needed: Collection[str] = ()) -> dict[str, str]:
        """Return tags of a map's file, one for each modality that is lacking.

        Args:
            needed: modalities whose pixels are left empty where they lack it.
        """
        return {
            f"WITHOUT_{modality.upper()}": (
                f"{self.told(modality)}, {'left empty' if modality in needed else 'mapped'}"
            )
            for modality, count in self.without.items()
            if count
        }

    def sentences(self, known: Mapping[str, KnownBands], needed: Collection[str] = ()) -> list[str]:
        """Say of each modality that is lacking what its pixels get, and whether the model knows such pixels.

        Args:
            known: what is known of the training's bands, by modality.
            needed: see ``tags``.
        """
        said = []
        for modality in (modality for modality, count in self.without.items() if count):
            begin = f"'{modality}' is missing at {self.told(modality)} of the pixels"
            if modality in needed:
                said.append(f"{begin}, left empty")
                continue
            lacking = known[modality].lacking if modality in known else ()
            trained = ""
            if lacking and not lacking[0]:
                trained = " (never in training)"
            elif lacking:
                trained = f" (in training at {100 * lacking[0] / lacking[1]:.3g} %)"
            said.append(
                f"{begin}{trained}, mapped by the other modalities alone; 'predict --need {modality}' leaves "
                "them empty"
            )
        return said


def added(several: Iterable[Lacking]) -> Lacking:
    """Add up the pixels of several maps."""
    pixels, without = 0, dict[str, int]()
    for one in several:
        pixels += one.pixels
        for modality, count in one.without.items():
            without[modality] = without.get(modality, 0) + count
    return Lacking(pixels, without)


def survey(rasters: Mapping[str, OpenRaster]) -> Lacking:
    """Check the values of rasters on one grid, and count the pixels that some of them show and others do not.

    Rasters of whole numbers that cannot lack a value are not read.

    Args:
        rasters: by modality.

    Raises:
        InputError: if a value is infinite, or a file is damaged.
    """
    height, width = next(iter(rasters.values())).grid.shape
    read = {modality: raster for modality, raster in rasters.items() if raster.may_lack_values}
    headers = [raster.header.data for raster in read.values()]
    of_row = width * sum(len(header) * header.dtype.itemsize for header in headers)
    at_once = max(1, BYTES_AT_ONCE // max(of_row, 1))
    without, unseen = dict.fromkeys(rasters, 0), 0
    for top in range(0, height if read else 0, at_once):
        missing = {}
        for modality, raster in read.items():
            rows = raster.read(top, min(top + at_once, height))
            rows.check_finite(modality, top)
            missing[modality] = rows.missing().all(axis=0)
        # a raster that is not read shows every pixel
        nowhere = np.logical_and.reduce(list(missing.values())) & (len(read) == len(rasters))
        unseen += int(nowhere.sum())
        for modality, absent in missing.items():
            without[modality] += int((absent & ~nowhere).sum())
    return Lacking(height * width - unseen, without)
