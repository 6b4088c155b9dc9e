"""The modality of a trained model that is made of others: features of the encoder that its config names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.grid import Grid
from m3amba_zoo.rasters.matching import KnownBands
from m3amba_zoo.rasters.opening import OpenRaster
from m3amba_zoo.rasters.request import RasterRequest
from m3amba_zoo.scenes.encoding import Recipe, hexadecimal


class MadeFeatures:
    """Makes the features of given rasters that a model reads.

    Args:
        recipe: of the training.
        known: what is known of the training's bands.
        in_channels: bands by modality that the model reads.
        device: of the encoder.

    Attributes:
        name: of the modality.
        read_from: the modalities that the encoder reads.
        given: bands by modality that a user gives: those of the model and of the encoder.
    """

    def __init__(
        self,
        recipe: Recipe,
        known: Mapping[str, KnownBands],
        in_channels: Mapping[str, int],
        device: torch.device,
    ) -> None:
        self.recipe, self.name, self._known, self._device = recipe, recipe.name, known, device
        own = known.get(recipe.name, KnownBands(in_channels[recipe.name]))
        self._fingerprint = own.fingerprint
        others = {modality: bands for modality, bands in in_channels.items() if modality != recipe.name}
        self.read_from = own.read_from or recipe.offered or tuple(others)
        for modality in self.read_from:
            if modality not in others and modality not in known:
                raise InputError(
                    f"the model reads features of '{modality}', but nothing tells its bands; expected the "
                    "metrics.json of the training beside the weights"
                )
        beside = {m: known[m].count for m in self.read_from if m not in others}
        self.given = {**others, **beside}
        self._encoder: Any = None

    @property
    def tags(self) -> dict[str, str]:
        """What a map's file says of the encoder."""
        encoder = self._built()
        return {"ENCODER": encoder.description, "ENCODER_SHA256": hexadecimal(encoder)}

    def of(self, opened: Mapping[str, OpenRaster], place: Grid) -> dict[str, OpenRaster]:
        """Return the modality, made of open rasters on one grid.

        Raises:
            InputError: if the encoder cannot be built or is another one than the training's, or the rasters
                are not in its units.
        """
        read = {modality: opened[modality] for modality in self.read_from}
        names = {m: of_bands for m, of_bands in (self.recipe.names or {}).items() if m in read}
        units = {m: unit for m, unit in (self.recipe.units or {}).items() if m in read}
        recipe = replace(self.recipe, of=tuple(read), names=names, units=units)
        known = {modality: self._of_training(modality, raster) for modality, raster in read.items()}
        store = recipe.open(read, known, self._built(), place)
        return {self.name: OpenRaster(store, RasterRequest(f"features of {', '.join(read)}"))}

    def _of_training(self, modality: str, raster: OpenRaster) -> KnownBands:
        """Return what the training knew of the bands that a raster gives, else what its file says."""
        known = self._known.get(modality)
        return known if known and (known.names or known.wavelengths) else KnownBands.of(raster.header)

    def _built(self) -> Any:
        if self._encoder is None:
            try:
                encoder = self.recipe.build_encoder()
            except InputError as error:
                raise InputError(
                    f"'{self.name}' is made by an encoder that cannot be had: {error}"
                ) from error
            if self._fingerprint and hexadecimal(encoder) != self._fingerprint:
                raise InputError(
                    "the model was trained on features of another encoder than this one "
                    f"({encoder.description}): the fingerprints of their weights and settings differ "
                    f"({self._fingerprint[:8]} and {hexadecimal(encoder)[:8]})"
                )
            self._encoder = encoder.to(self._device)
        return self._encoder
