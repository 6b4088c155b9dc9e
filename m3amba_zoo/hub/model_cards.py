"""Published models by name: found here or fetched, compared with the package's index, built.

A published model is looked for in ``$M3AMBA_WEIGHTS``, the checkout's ``model_cards``, the cache, and on the
mirrors in turn. No file of it is opened as more than bytes before its sha256 was compared: a ``config.py``
is code, which MMEngine executes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import nn

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.hub import index
from m3amba_zoo.hub.download import (
    cached_folder,
    fetch_card,
    lacks,
    mirror_names,
    open_mirror,
    verify_card,
)
from m3amba_zoo.hub.download.mirror import MIRRORS_VARIABLE, is_remote, shown
from m3amba_zoo.hub.download.progress import say
from m3amba_zoo.hub.download.settings import PATIENCE, Patience
from m3amba_zoo.hub.index import PublishedModel, read_index, sha256_of
from m3amba_zoo.hub.trained_model import GOLDEN, METRICS, TrainedModel, visible_files
from m3amba_zoo.models.weights import LAST_CHECKPOINT
from m3amba_zoo.system.offline import OFFLINE_VARIABLE, is_offline

WEIGHTS_VARIABLE = "M3AMBA_WEIGHTS"
CHECKOUT_CARDS = Path(__file__).resolve().parents[2] / "model_cards"
CONFIG, README = "config.py", "README.md"


class Place(NamedTuple):
    """Where cards lie on this machine; ``name`` says it in tables."""

    name: str
    folder: Path


def published_models() -> dict[str, PublishedModel]:
    """Return what the package's index lists, by name, sorted."""
    return read_index(index.PACKAGE_INDEX)


def list_models() -> list[str]:
    """Return the names that ``get_model`` takes, sorted: published models and the user's own.

    Your own are folders with a ``config.py`` in ``$M3AMBA_WEIGHTS``. Published models without weights are
    among them: ``get_model(name, pretrained=False)`` builds those.

    Raises:
        InputError: ``$M3AMBA_WEIGHTS`` is no folder.
    """
    return sorted(own_cards().keys() | published_models().keys())


def get_model(name: str | Path, pretrained: bool = True) -> nn.Module:
    """Build a published model; its files are fetched where they are not on this machine.

    Args:
        name: one of ``list_models()``; or the path of a card or work dir (a ``Path``, or with a ``/``),
            whose config is executed as it is.
        pretrained: load the card's weights; False builds the network alone, with random weights.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        InputError: no such model (close names are listed), one without weights, files that are not those
            that were published, or no mirror that serves them.
    """
    return TrainedModel.from_folder(find_card(name, pretrained), pretrained).model.eval()


def find_card(
    name: str | Path,
    pretrained: bool = True,
    mirrors: Sequence[str] = (),
    patience: Patience = PATIENCE,
) -> Path:
    """Return the folder of a published model, its files compared with the package's index.

    Args:
        name: as for ``get_model``; a path is returned as it is.
        pretrained: False does not ask for weights.
        mirrors: asked before those of ``$M3AMBA_MIRRORS``.
        patience: with the mirrors.

    Raises:
        InputError: as ``get_model``.
    """
    if isinstance(name, Path) or {"/", os.sep} & set(name):
        return _named_folder(Path(name))
    published = published_models()
    if name not in published:
        own = own_cards()
        if name not in own:
            known = sorted(own.keys() | published.keys())
            hint = close_names(name, known) or f"known: {', '.join(known) or 'none'}"
            raise InputError(f"no model is published as '{name}'; {hint}")
        check_own_card(own[name], pretrained)
        return own[name]
    model = published[name]
    if pretrained and not model.weights:
        raise InputError(f"model '{name}' is published without weights: {model.reason}")
    needed = [file.path for file in model.files if file.path in (CONFIG, METRICS)]
    needed += [model.weights] if pretrained else []
    return _locate(model, needed, mirrors, patience)


def find_model(given: str | Path) -> Path:
    """Return the folder of a model that is given by its name, or as a work dir or a card's folder.

    A published model's name is that model, also where a folder of this name lies here: only what was
    published may be loaded under it. ``./NAME`` is the folder.

    Raises:
        InputError: as ``find_card``; a path that is none is returned as it is.
    """
    path = Path(given).expanduser()
    is_name = isinstance(given, str) and given in published_models()
    if is_name or not (path.exists() or len(path.parts) > 1):
        return find_card(str(given))
    return path


def find_whole_card(
    model: PublishedModel, mirrors: Sequence[str] = (), patience: Patience = PATIENCE
) -> Path:
    """Return the folder of a published model with all of its files, those too that a model is built without.

    Raises:
        InputError: as ``find_card``.
    """
    return _locate(model, [file.path for file in model.files], mirrors, patience)


def own_cards() -> dict[str, Path]:
    """Return the cards in ``$M3AMBA_WEIGHTS`` that are not published, by name.

    Raises:
        InputError: ``$M3AMBA_WEIGHTS`` is no folder.
    """
    root, published = _own_root(), published_models()
    folders = [path.parent for path in sorted(root.glob(f"*/{CONFIG}"))] if root else []
    return {folder.name: folder for folder in folders if folder.name not in published}


def places_of(model: PublishedModel) -> list[Place]:
    """Return where on this machine a published model's folder is, whatever is in it."""
    roots = [Place(place.name, place.folder / model.name) for place in _roots()]
    return [place for place in (*roots, Place("cache", cached_folder(model))) if place.folder.is_dir()]


def check_own_card(folder: Path, pretrained: bool = True) -> None:
    """Check a card that the index does not list, before its config is executed.

    It is the user's own; only its weights can be checked, against the first 8 digits of their sha256.

    Raises:
        InputError: neither a README.md nor a metrics.json says what it is; or the weights are not one file
            ``<name>-<first 8 digits of its sha256>.safetensors``.
    """
    if len(lacks(folder, (README, METRICS))) == 2:
        raise InputError(f"{folder}: has neither {README} nor {METRICS}, expected the card of a model")
    if not pretrained:
        return
    weights = [path for path in visible_files(folder, "*.safetensors") if path.name != GOLDEN]
    pointer = folder / LAST_CHECKPOINT
    if len(weights) != 1 or pointer.exists():
        held = [*weights, pointer] if pointer.exists() else weights
        found = ", ".join(path.name for path in held) or "no weights"
        raise InputError(f"{folder}: holds {found}, expected one {folder.name}-<8 digits>.safetensors")
    try:
        digits = sha256_of(weights[0])[:8]
    except OSError as error:
        raise InputError(f"{weights[0]}: cannot be read ({error.strerror})") from error
    if weights[0].name != f"{folder.name}-{digits}.safetensors":
        raise InputError(
            f"{weights[0]}: by its folder and its sha256 it should be named "
            f"{folder.name}-{digits}.safetensors: it is refused"
        )


def _named_folder(folder: Path) -> Path:
    folder = folder.expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; a published model is given by its name alone")
    return folder


def _locate(model: PublishedModel, needed: Sequence[str], mirrors: Sequence[str], patience: Patience) -> Path:
    for place in _roots():
        folder = place.folder / model.name
        if not lacks(folder, needed):
            verify_card(folder, model, needed)
            return folder
    cached = cached_folder(model)
    if cached.is_dir():
        try:
            verify_card(cached, model)
            return cached
        except InputError as error:
            say(f"{error}; it is fetched anew")
    return _fetch(model, mirror_names(mirrors), patience)


def _fetch(model: PublishedModel, names: Sequence[str], patience: Patience) -> Path:
    reachable = [name for name in names if not (is_remote(name) and is_offline())]
    if not reachable:
        looked = ", ".join(str(place.folder) for place in (*_roots(), Place("cache", cached_folder(model))))
        why = (
            f"{OFFLINE_VARIABLE}=1 forbids asking {', '.join(map(shown, names))}"
            if names
            else f"no mirror is named (--mirror URL or ${MIRRORS_VARIABLE})"
        )
        raise InputError(f"model '{model.name}' is not on this machine (looked in {looked}), and {why}")
    return fetch_card(model, [open_mirror(name, patience) for name in reachable], patience)


def _roots() -> Iterator[Place]:
    if own := _own_root():
        yield Place(f"${WEIGHTS_VARIABLE}", own)
    yield Place("checkout", CHECKOUT_CARDS)


def _own_root() -> Path | None:
    named = os.environ.get(WEIGHTS_VARIABLE)
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise InputError(f"${WEIGHTS_VARIABLE} is {named}, expected a folder of cards")
    return root
