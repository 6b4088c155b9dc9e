"""Published models by name: a folder each, with config, weights and results."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from torch import nn

from m3amba_zoo.config_file import read_config_file
from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.hub.trained_model import TrainedModel, find_weights

WEIGHTS_VARIABLE = "M3AMBA_WEIGHTS"
CHECKOUT_CARDS = Path(__file__).resolve().parents[2] / "model_cards"
CONFIG = "config.py"


def list_models() -> list[str]:
    """Return the names of the models whose cards are here, sorted.

    Cards are folders with a ``config.py``, looked for in ``$M3AMBA_WEIGHTS`` and in the checkout's
    ``model_cards``.
    """
    return sorted({path.parent.name for root in _roots() for path in root.glob(f"*/{CONFIG}")})


def get_model(name: str, pretrained: bool = True) -> nn.Module:
    """Build a published model.

    Args:
        name: one of ``list_models()``.
        pretrained: load the card's weights, after comparing them with the hash in their file's name; False
            builds the network alone, with random weights.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        InputError: no such card (close names are listed), a card without weights, or weights that are not
            those that were published.
    """
    return TrainedModel.from_folder(find_card(name, pretrained), pretrained).model.eval()


def find_card(name: str, pretrained: bool = True) -> Path:
    """Return the folder of a published model, its weights compared with the hash in their name.

    Args:
        name: one of ``list_models()``.
        pretrained: False leaves the weights alone; the card needs none then.

    Raises:
        InputError: there is no such card, it has no weights, or they are not those that were published.
    """
    for root in _roots():
        folder = root / name
        if (folder / CONFIG).is_file() and Path(name).name == name:
            if pretrained:
                _check_hash(find_weights(folder, read_config_file(folder / CONFIG)))
            return folder
    known = list_models()
    hint = close_names(name, known) or f"known: {', '.join(known) or 'none'}"
    raise InputError(f"no model is published as '{name}'; {hint}")


def _roots() -> list[Path]:
    named = os.environ.get(WEIGHTS_VARIABLE)
    return [Path(named), CHECKOUT_CARDS] if named else [CHECKOUT_CARDS]


def _check_hash(path: Path) -> None:
    """Raise InputError if a file's sha256 does not begin with the eight digits that end its name."""
    named = re.fullmatch(r".+-([0-9a-f]{8})\.safetensors", path.name)
    if named is None:
        raise InputError(f"{path}: expected published weights, NAME-<8 digits of sha256>.safetensors")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(named[1]):
        raise InputError(f"{path}: its sha256 begins with {found[:8]}, not as its name says: it is refused")
