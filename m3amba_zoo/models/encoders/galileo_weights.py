"""Where Galileo's weights are, and the network that fits them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors import safe_open
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.files import RANDOM, cached_file, hub_file, named_file, read_tensors
from m3amba_zoo.models.encoders.galileo_network import GalileoNetwork, GalileoSize
from m3amba_zoo.reading import library_errors
from m3amba_zoo.system import WEIGHTS_VARIABLE

SIZES = {"nano": GalileoSize(128, 4, 8), "tiny": GalileoSize(192, 12, 3), "base": GalileoSize(768, 12, 12)}
"""The published networks (github.com/nasaharvest/galileo, config/models); heads are in no tensor."""
REPOSITORY = "nasaharvest/galileo"  # of Hugging Face
PUBLISHED_FILE = "models/{}/encoder.pt"
UNUSED = re.compile(
    r"(space_embed\.(DW|WC)|time_embed|static_embed)\.|(st|t)_channel_embed$"
)  # groups that are not encoded here


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
    own = network.state_dict()
    for name in {**own, **kept}:
        shapes = [tuple(where[name].shape) if name in where else None for where in (own, kept)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"{path}: not the weights of a Galileo encoder of {_in_words(size)}: '{name}' is "
                f"{shapes[1]}, expected {shapes[0]}"
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
