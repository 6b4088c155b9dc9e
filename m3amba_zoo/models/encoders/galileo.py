"""Galileo, a frozen encoder of Sentinel-1, Sentinel-2 and elevation (arXiv 2502.09356), and its weights."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import print_log
from safetensors import safe_open
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.encoder import Encoder, NeededBand, Needs
from m3amba_zoo.models.encoders.files import RANDOM, cached_file, hub_file, named_file, read_tensors
from m3amba_zoo.models.encoders.galileo_network import METRES, SPACE, SPACE_TIME, GalileoNetwork, GalileoSize
from m3amba_zoo.models.weights import find_misfit
from m3amba_zoo.reading import library_errors
from m3amba_zoo.registry import BACKBONES
from m3amba_zoo.system import WEIGHTS_VARIABLE

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
SIZES = {"nano": GalileoSize(128, 4, 8), "tiny": GalileoSize(192, 12, 3), "base": GalileoSize(768, 12, 12)}
"""The published networks (github.com/nasaharvest/galileo, config/models); heads are in no tensor."""
REPOSITORY = "nasaharvest/galileo"  # of Hugging Face
PUBLISHED_FILE = "models/{}/encoder.pt"
UNUSED = re.compile(
    r"(space_embed\.(DW|WC)|time_embed|static_embed)\.|(st|t)_channel_embed$"
)  # groups that are not encoded here


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


class FoundWeights(NamedTuple):
    """Weights that were read.

    Attributes:
        state: tensors by name.
        path: of their file.
        origin: where it is, in words.
        licence: that the file states, or None.
    """

    state: Mapping[str, Tensor]
    path: Path
    origin: str
    licence: str | None


def find_weights(weights: str, cache_dir: str | None) -> FoundWeights:
    """Read weights: a file, else from ``$M3AMBA_WEIGHTS``, the cache or Hugging Face, in this order.

    Args:
        weights: the path of a file, or one of ``SIZES``.
        cache_dir: see ``GalileoEncoder``.

    Raises:
        InputError: if they cannot be found, fetched or read.
    """
    path, origin = _find(weights, cache_dir)
    state = read_tensors(path)
    return FoundWeights(state, path, origin, _stated_licence(path))


def network_of(state: Mapping[str, Tensor], expected: GalileoSize | None, path: Path) -> GalileoNetwork:
    """Return the network of these weights, of the size that the tensors have.

    Args:
        state: tensors by name.
        expected: the size that is asked for; None takes any whose heads are known.
        path: of their file, for messages.

    Raises:
        InputError: if they are of another network, or of another size.
    """
    kept = {name: value for name, value in state.items() if not UNUSED.match(name)}
    size = _size_of(kept, expected, path)
    network = GalileoNetwork(size)
    if found := find_misfit(network.state_dict(), kept):
        raise InputError(
            f"{path}: not the weights of a Galileo encoder of {_in_words(size)}: '{found.name}' is "
            f"{found.given}, expected {found.expected}"
        )
    network.load_state_dict({name: value.float() for name, value in kept.items()})
    return network


def _size_of(state: Mapping[str, Tensor], expected: GalileoSize | None, path: Path) -> GalileoSize:
    """Read the size from the tensors; heads are those expected, else those of the published network."""
    try:
        dim, _ = state["blocks.0.attn.q.weight"].shape
        hidden = len(state["blocks.0.mlp.fc1.weight"])
        kernel = state["space_time_embed.S1.proj.weight"].shape[-1]
    except (KeyError, ValueError) as error:
        first = ", ".join(list(state)[:3])
        raise InputError(
            f"{path}: not the weights of a Galileo encoder, which has 'blocks.0.attn.q.weight' and "
            f"'space_time_embed.S1.proj.weight'; it has {len(state)} tensors: {first}, ..."
        ) from error
    depth = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    heads = {(known.dim, known.depth): known.heads for known in SIZES.values()}.get((dim, depth))
    if expected is not None and (expected.dim, expected.depth) == (dim, depth):
        heads = expected.heads
    found = GalileoSize(dim, depth, heads or 0, hidden // dim, kernel)
    if expected is not None and found[:2] != expected[:2]:
        raise InputError(f"{path}: a Galileo encoder of {_in_words(found)}, expected {_in_words(expected)}")
    if heads is None:
        raise InputError(
            f"{path}: a Galileo encoder of {_in_words(found)}, which is none of those published, so that its "
            f"heads of attention are not known; expected size=dict(dim={dim}, depth={depth}, heads=...)"
        )
    return found


def _in_words(size: GalileoSize) -> str:
    name = next((name for name, known in SIZES.items() if known[:2] == size[:2]), "none of those published")
    return f"{size.dim} features and {size.depth} blocks ({name})"


def _find(weights: str, cache_dir: str | None) -> tuple[Path, str]:
    if found := galileo_here(weights, cache_dir):
        return found
    if weights not in SIZES:
        raise InputError(
            f"Galileo's weights '{weights}': no such file, also not in ${WEIGHTS_VARIABLE}; expected a file, "
            f"{', '.join(SIZES)}, or weights='{RANDOM}' for an untrained encoder"
        )
    what = f"Galileo's weights '{weights}'"
    return hub_file(what, REPOSITORY, (), cache_dir, PUBLISHED_FILE.format(weights))


def galileo_here(weights: str, cache_dir: str | None = None) -> tuple[Path, str] | None:
    """Return the file of weights on this machine and where it is, in words; None if there is none."""
    for candidate in _candidates(weights):
        if path := named_file(candidate):
            return path, "a file"
    if weights not in SIZES:
        return None
    cached = cached_file(REPOSITORY, (PUBLISHED_FILE.format(weights),), cache_dir)
    return (cached, "the cache") if cached else None


def _candidates(weights: str) -> Iterator[Path]:
    """Yield the paths, also in ``$M3AMBA_WEIGHTS``, where weights may lie."""
    if weights in SIZES:
        own = f"galileo_{weights}.safetensors"
        theirs = Path("models", weights, "encoder.pt")  # as `hf download --local-dir` lays it
        yield from (
            Path(f"galileo-{weights}", own),
            Path(own),
            Path(f"galileo-{weights}", "encoder.pt"),
            theirs,
        )
    else:
        yield from (Path(weights), Path(Path(weights).name))  # the file of a training may have moved


def _stated_licence(path: Path) -> str | None:
    """Return the licence in a safetensors file's header."""
    if path.suffix != ".safetensors":
        return None
    with library_errors(path, "not a safetensors file"), safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("licence")
