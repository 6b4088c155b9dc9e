"""A new card: README.md with what is to be written by hand still open."""

from __future__ import annotations

from pathlib import Path


def new_card(folder: Path, config: Path | None = None) -> Path:
    """Write a card's README.md, its generated parts empty until ``build_card``.

    What only a person knows (units, licence of the data, limits, prose) says ``TO BE WRITTEN``: such a card
    can be built, and ``check_card`` refuses it.

    Args:
        folder: of the card, named ``<base>_<dataset>``. It holds ``config.py`` already and, where it has
            weights, ``metrics.json``, ``golden.safetensors``, ``map.png`` and the weights.
        config: for a card without weights: the config that trains it. The folder is made, and ``config.py``
            in it is that config, expanded.

    Returns:
        The path of README.md.

    Raises:
        InputError: README.md (or, with ``config``, the folder) exists already; the folder's name is no
            model's; there is no config, or it cannot be read.
    """
    raise NotImplementedError
