"""Which modality plays which part in a network for two."""

from __future__ import annotations

from collections.abc import Iterable

from m3amba_zoo.errors import InputError


def spectral_and_auxiliary(modalities: Iterable[str], model: str) -> tuple[str, str | None]:
    """Return the first modality (spectral) and the second (LiDAR, SAR, ...), None where there is one alone.

    Args:
        modalities: names, in the order of ``in_channels``.
        model: its name, for the error.

    Raises:
        InputError: there are more than two.
    """
    names = list(modalities)
    if len(names) > 2:
        raise InputError(
            f"{model} is a network for one or two modalities, in_channels has {', '.join(names)}"
        )
    return names[0], names[1] if len(names) == 2 else None
