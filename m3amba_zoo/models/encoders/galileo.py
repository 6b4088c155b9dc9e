"""Galileo, a frozen encoder of Sentinel-1, Sentinel-2 and elevation (arXiv 2502.09356)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.encoder import Encoder, NeededBand, Needs
from m3amba_zoo.models.encoders.galileo_network import METRES, SPACE, SPACE_TIME, GalileoNetwork, GalileoSize
from m3amba_zoo.models.encoders.galileo_weights import RANDOM, SIZES, find_weights, network_of
from m3amba_zoo.registry import BACKBONES

LICENCE = "MIT"
S1, S2, DEM = "Sentinel-1", "Sentinel-2", "elevation"
WAVELENGTHS = {  # of Sentinel-2A's bands, see scenes/terramind.py
    "B2": 492.4,
    "B3": 559.8,
    "B4": 664.6,
    "B5": 704.1,
    "B6": 740.5,
    "B7": 782.8,
    "B8": 832.8,
    "B8A": 864.7,
    "B11": 1613.7,
    "B12": 2202.4,
}
BANDS = (
    *(NeededBand(name, unit="dB", optional=True, sensor=S1) for name in ("VV", "VH")),
    *(
        NeededBand(name, centre, "reflectance x 10000", optional=True, sensor=S2)
        for name, centre in WAVELENGTHS.items()
    ),
    NeededBand("elevation", unit="m", optional=True, sensor=DEM),
)
# of the pretraining: what the networks are given is (x - (mean - 2 std)) / (4 std)
MEAN_STD = {
    "VV": (-11.72872, 4.88715),
    "VH": (-18.85558, 5.73027),
    "B2": (1395.34087, 917.70414),
    "B3": (1338.40269, 913.29884),
    "B4": (1343.09884, 1092.67872),
    "B5": (1543.86080, 1047.22061),
    "B6": (2186.20221, 1048.01016),
    "B7": (2525.09329, 1143.69030),
    "B8": (2410.33772, 1098.97918),
    "B8A": (2750.28546, 1204.47276),
    "B11": (2234.91110, 1145.97741),
    "B12": (1474.53113, 980.24298),
    "NDVI": (0.28921, 0.27209),
    "elevation": (673.01528, 983.06973),
    "slope": (5.93009, 8.16741),
}
AT_MEAN = 0.5  # a band's mean, normalised


@BACKBONES.register_module()
class GalileoEncoder(Encoder):
    """The frozen encoder of Galileo on one acquisition.

    It takes what there is of Sentinel-1 (dB), Sentinel-2 (reflectance x 10000) and elevation (m); NDVI and
    slope are made of these. A window where a sensor shows nothing has no tokens of it. A value that is
    missing elsewhere is the pretraining's mean of its band.

    Args:
        weights: ``nano``, ``tiny`` or ``base``, found as docs/galileo.md says; a file (``.safetensors``, or
            the authors' ``encoder.pt``); or ``random``, an untrained network.
        size: of the network that is expected: a name, or ``dict(dim=, depth=, heads=)``. Random weights need
            one (default: nano); a file may have any if this is None.
        patch: p, rows and columns of a patch in pixels, 1 to 8. Windows are multiples of it.
        month: of acquisition, 1 to 12, where the caller does not know it.
        seed: of random weights.
        cache_dir: where huggingface_hub keeps downloads; None for its default.

    Raises:
        InputError: if an option is out of range, or the weights cannot be found, fetched or read, or are of
            another size or network.
    """

    def __init__(
        self,
        weights: str = "nano",
        size: str | Mapping[str, int] | None = None,
        patch: int = 2,
        month: int = 6,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        expected = _size(weights, size)
        if not 1 <= month <= 12:
            raise InputError(f"GalileoEncoder: month is {month}, expected 1 to 12")
        licence: str | None = None
        file = None
        if weights == RANDOM:
            assert expected is not None
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = GalileoNetwork(expected)
            description = f"Galileo, randomly initialised (seed {seed}): not a trained one"
        else:
            found = find_weights(weights, cache_dir)
            file = found.path
            network = network_of(found.state, expected, file)
            description = f"Galileo, {network.size.dim} features, weights {file.name} from {found.origin}"
            licence = LICENCE if weights in SIZES else found.licence
        largest = network.size.kernel
        if not 1 <= patch <= largest:
            raise InputError(f"GalileoEncoder: patch is {patch}, expected 1 to {largest} pixels")
        if file and not licence:
            print_log(f"{file}: does not state its licence; ask who made it", "current", logging.WARNING)
        super().__init__(
            network=network,
            description=description,
            licence=licence,
            feature_dim=network.size.dim,
            image_size=None,
            needs=Needs(BANDS, month=True, metres=True),
            weights_file=file,
            # what is usual is not in it, so that the trainings of before there were settings are known
            settings={
                name: value
                for name, (value, usual) in {"patch": (patch, 2), "month": (month, 6)}.items()
                if value != usual
            },
        )
        self.patch, self.month = patch, month

    @staticmethod
    def known_feature_dim(
        weights: str = "nano", size: str | Mapping[str, int] | None = None, **_: Any
    ) -> int | None:
        """Return F where the arguments alone tell it; None where the file of the weights does."""
        known = _size(weights, size)
        return known and known.dim

    def patches(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Encode windows ``(B, 13, H, W)`` of the bands of ``needs`` to ``(B, F, H / p, W / p)``.

        A window without any value is NaN.

        Raises:
            InputError: if H or W is no multiple of the patch.
        """
        rows, columns = x_BCHW.shape[-2:]
        if rows % self.patch or columns % self.patch:
            raise InputError(
                f"a window of {rows} x {columns} pixels cannot be divided into patches of {self.patch} x "
                f"{self.patch} (GalileoEncoder's patch); expected a multiple of {self.patch}, such as "
                f"{-(-max(rows, columns) // self.patch) * self.patch}"
            )
        metres = METRES if metres is None else metres
        if month is None:
            month = torch.full((len(x_BCHW),), self.month, device=x_BCHW.device)
        groups = normalised_groups(x_BCHW, metres)
        there = torch.stack([~x.isnan().flatten(1).all(1) for x in groups.values()], dim=1)
        features = x_BCHW.new_full(
            (len(x_BCHW), self.feature_dim, rows // self.patch, columns // self.patch), torch.nan
        )
        for pattern in there.unique(dim=0):
            if not pattern.any():
                continue
            alike = (there == pattern).all(1)
            given = {
                group: torch.nan_to_num(x[alike], nan=AT_MEAN)
                for (group, x), shown in zip(groups.items(), pattern, strict=True)
                if shown
            }
            features[alike] = self.network(given, month[alike].long() - 1, self.patch, metres).to(features)
        return features


def normalised_groups(x_BCHW: Tensor, metres: float) -> dict[str, Tensor]:
    """Return the network's groups ``(B, C, H, W)`` of the bands in ``BANDS``, NaN where a value is missing.

    Args:
        x_BCHW: in the units of ``BANDS``.
        metres: rows and columns of a pixel, for the slope.
    """
    bands = {band.name: x for band, x in zip(BANDS, x_BCHW.unbind(1), strict=True)}
    total = bands["B8"] + bands["B4"]
    bands["NDVI"] = torch.where(total > 0, (bands["B8"] - bands["B4"]) / total, torch.nan)
    bands["slope"] = slope(bands["elevation"], metres)
    groups = {}
    for group, names in {**SPACE_TIME, **SPACE}.items():
        scaled = []
        for name in names:
            mean, std = MEAN_STD[name]
            scaled.append((bands[name] - (mean - 2 * std)) / (4 * std))
        groups[group] = torch.stack(scaled, dim=1)
    return groups


def slope(elevation_BHW: Tensor, metres: float) -> Tensor:
    """Return the slope of heights in m, in degrees ``(B, H, W)``."""
    gradients = [
        torch.gradient(elevation_BHW, spacing=metres, dim=dim)[0]
        if elevation_BHW.shape[dim] > 1
        else torch.zeros_like(elevation_BHW)
        for dim in (1, 2)
    ]
    return torch.hypot(*gradients).arctan().rad2deg()


def _size(weights: str, size: str | Mapping[str, int] | None) -> GalileoSize | None:
    """Return the size that the arguments name, None if they leave it to the file."""
    if size is None:
        return SIZES.get("nano" if weights == RANDOM else weights)
    if isinstance(size, str):
        if size not in SIZES:
            raise InputError(f"GalileoEncoder: size is '{size}', expected {', '.join(SIZES)}")
        if weights in SIZES and weights != size:
            raise InputError(f"GalileoEncoder: the weights are those of '{weights}', but size is '{size}'")
        return SIZES[size]
    try:
        stated = GalileoSize(**size)
    except TypeError as error:
        raise InputError(
            f"GalileoEncoder: size is {dict(size)}, expected dict(dim=, depth=, heads=)"
        ) from error
    if stated.dim % 16 or stated.dim % stated.heads or stated.depth < 1:
        raise InputError(
            f"GalileoEncoder: size is {dict(size)}, expected dim a multiple of 16 and of heads, depth above 0"
        )
    return stated
