"""From a model's name to its card: found here or fetched, compared with the package's index, built.

A published model is looked for in ``$M3AMBA_WEIGHTS``, the checkout's ``model_cards``, the cache, and on each
mirror in turn. Its files are hashed before anything else opens them: ``config.py`` is code that MMEngine
executes. The config and the weights are then read once more, compared, and taken from these very bytes.

What needs torch is imported where it is used, so that names are listed at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.hub import index
from m3amba_zoo.hub.exchange import is_remote, shown
from m3amba_zoo.hub.index import CONFIG, PublishedModel, lacks, read_index, verify_card
from m3amba_zoo.hub.transport import MIRRORS_VARIABLE, cached_folder, fetch_card, mirror_names
from m3amba_zoo.system import OFFLINE_VARIABLE, WEIGHTS_VARIABLE, is_offline, sha256_of

if TYPE_CHECKING:
    from torch import nn

    from m3amba_zoo.hub.trained_model import TrainedModel

CHECKOUT_CARDS = Path(__file__).resolve().parents[2] / "model_cards"


class FoundModel(NamedTuple):
    """A model's folder on this machine, and what the index says of it; None for what it does not list."""

    folder: Path
    published: PublishedModel | None = None

    def load(self, pretrained: bool = True) -> TrainedModel:
        """Build the model: of a published one from the very bytes that are compared with the index.

        Raises:
            InputError: as ``TrainedModel.from_folder``.
        """
        from m3amba_zoo.hub.trained_model import TrainedModel

        return TrainedModel.from_folder(self.folder, pretrained, self.published)


class Place(NamedTuple):
    """Where cards lie on this machine; ``name`` says it in tables."""

    name: str
    folder: Path


def published_models() -> dict[str, PublishedModel]:
    """Return what the package's index lists, by name, sorted."""
    return read_index(index.PACKAGE_INDEX)


def list_models(filter: str | Sequence[str] = "") -> list[str]:
    """Return the names that ``get_model`` takes, sorted: published models and the user's own.

    The user's own are folders with a ``config.py`` in ``$M3AMBA_WEIGHTS``. Published models without weights
    are listed too: ``get_model(name, pretrained=False)`` builds them.

    Args:
        filter: a pattern as shells have it, such as ``*idtrees*``, or several; a name has to match one of
            them. Nothing matches all.

    Raises:
        InputError: if ``$M3AMBA_WEIGHTS`` is not a folder.
    """
    names = sorted(own_cards().keys() | published_models().keys())
    patterns = [filter] if isinstance(filter, str) else filter
    return [name for name in names if not filter or any(fnmatchcase(name, of) for of in patterns)]


def get_model(name: str | Path, pretrained: bool = True) -> nn.Module:
    """Build a published model; its files are fetched if they are not on this machine.

    Args:
        name: one of ``list_models()``; or the path of a card or work dir (a ``Path``, or with a ``/``),
            whose config is executed as it is.
        pretrained: load the card's weights; False builds the network with random weights.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        InputError: if there is no such model (close names are listed), it has no weights, its files are not
            the published ones, or no mirror serves them.
    """
    return _locate_card(name, pretrained).load(pretrained).model.eval()


def find_card(name: str | Path, pretrained: bool = True, mirrors: Sequence[str] = ()) -> Path:
    """Return the folder of a published model, its files compared with the package's index.

    Args:
        name: as for ``get_model``; a path is returned as it is.
        pretrained: False does not ask for weights.
        mirrors: asked before those of ``$M3AMBA_MIRRORS``.

    Raises:
        InputError: as ``get_model``.
    """
    return _locate_card(name, pretrained, mirrors).folder


def _locate_card(name: str | Path, pretrained: bool = True, mirrors: Sequence[str] = ()) -> FoundModel:
    if isinstance(name, Path) or {"/", os.sep} & set(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; a published model is given by its name alone")
        return FoundModel(folder)
    published = published_models()
    if name not in published:
        own = own_cards()
        if name not in own:
            known = sorted(own.keys() | published.keys())
            hint = close_names(name, known) or f"known: {', '.join(known) or 'none'}"
            raise InputError(f"no model is published as '{name}'; {hint}")
        check_own_card(own[name], pretrained)
        return FoundModel(own[name])
    from m3amba_zoo.evaluation.record import METRICS_FILE

    model = published[name]
    if pretrained and not model.weights:
        raise InputError(f"model '{name}' is published without weights: {model.reason}")
    needed = [file.path for file in model.files if file.path in (CONFIG, METRICS_FILE)]
    return FoundModel(_locate(model, [*needed, model.weights] if pretrained else needed, mirrors), model)


def locate(given: str | Path | FoundModel, pretrained: bool = True) -> FoundModel:
    """Find a model that is given by its name, or as a work dir or a card's folder.

    The name of a published model always means that model, even if a folder here has the same name: only what
    was published may be loaded under it. ``./NAME`` is the folder. ``pretrained=False`` asks for no weights.

    Raises:
        InputError: as ``find_card``; a path that does not exist is returned as it is.
    """
    if isinstance(given, FoundModel):
        return given
    if not isinstance(given, (str, Path)):
        raise InputError(
            f"name_or_path is {given!r}, expected the name of a published model, a work dir or a card's "
            "folder"
        )
    path = Path(given).expanduser()
    is_name = isinstance(given, str) and given in published_models()
    if is_name or not (path.exists() or len(path.parts) > 1):
        return _locate_card(str(given), pretrained)
    return FoundModel(path)


def find_whole_card(model: PublishedModel, mirrors: Sequence[str] = ()) -> Path:
    """Return the folder of a published model with all of its files, needed to build it or not.

    Raises:
        InputError: as ``find_card``.
    """
    return _locate(model, [file.path for file in model.files], mirrors)


def own_cards() -> dict[str, Path]:
    """Return the cards in ``$M3AMBA_WEIGHTS`` that are not published, by name.

    Raises:
        InputError: if ``$M3AMBA_WEIGHTS`` is not a folder.
    """
    root, published = _own_root(), published_models()
    folders = [path.parent for path in sorted(root.glob(f"*/{CONFIG}"))] if root else []
    return {folder.name: folder for folder in folders if folder.name not in published}


def places_of(model: PublishedModel) -> list[Place]:
    """Return the folders of a published model on this machine, whatever they hold."""
    return [place for place in _places(model) if place.folder.is_dir()]


def check_own_card(folder: Path, pretrained: bool = True) -> None:
    """Check a card that the index does not list, before its config is executed.

    It is the user's own. Only its weights can be checked, against the first 8 digits of their sha256.

    Raises:
        InputError: if the card has neither README.md nor metrics.json; or does not have exactly one weights
            file, named ``<name>-<first 8 digits of its sha256>.safetensors``.
    """
    from m3amba_zoo.evaluation.record import METRICS_FILE
    from m3amba_zoo.hub.trained_model import GOLDEN, README, visible_files
    from m3amba_zoo.models.weights import CHOICE, LAST_CHECKPOINT

    if len(lacks(folder, (README, METRICS_FILE))) == 2:
        raise InputError(f"{folder}: has neither {README} nor {METRICS_FILE}, expected the card of a model")
    if not pretrained:
        return
    weights = [path for path in visible_files(folder, "*.safetensors") if path.name != GOLDEN]
    # a work dir's; they name other weights
    pointers = [folder / name for name in (CHOICE, LAST_CHECKPOINT) if (folder / name).exists()]
    if len(weights) != 1 or pointers:
        found = ", ".join(path.name for path in (*weights, *pointers)) or "no weights"
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


def _locate(model: PublishedModel, needed: Sequence[str], mirrors: Sequence[str]) -> Path:
    *roots, cache = _places(model)
    for place in roots:
        if not lacks(place.folder, needed):
            verify_card(place.folder, model, needed)
            return place.folder
    if cache.folder.is_dir():
        try:
            verify_card(cache.folder, model)
            return cache.folder
        except InputError as error:
            print(f"{error}; it is fetched anew", file=sys.stderr)
    names = mirror_names(mirrors)
    if reachable := [name for name in names if not (is_remote(name) and is_offline())]:
        return fetch_card(model, reachable)
    looked = ", ".join(str(place.folder) for place in _places(model))
    why = f"no mirror is named (--mirror URL or ${MIRRORS_VARIABLE})"
    if names:
        why = f"{OFFLINE_VARIABLE}=1 forbids asking {', '.join(map(shown, names))}"
    raise InputError(f"model '{model.name}' is not on this machine (looked in {looked}), and {why}")


def _places(model: PublishedModel) -> Iterator[Place]:
    """Yield where a model's folder may be on this machine, in the order of the search; the cache is last."""
    if own := _own_root():
        yield Place(f"${WEIGHTS_VARIABLE}", own / model.name)
    yield Place("checkout", CHECKOUT_CARDS / model.name)
    yield Place("cache", cached_folder(model))


def _own_root() -> Path | None:
    named = os.environ.get(WEIGHTS_VARIABLE)
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise InputError(f"${WEIGHTS_VARIABLE} is {named}, expected a folder of cards")
    return root
