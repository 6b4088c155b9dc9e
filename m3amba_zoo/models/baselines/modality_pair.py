"""The two modalities of the fusion networks of the literature."""

from __future__ import annotations

from collections.abc import Mapping

from m3amba_zoo.errors import InputError


def spectral_and_auxiliary(name: str, in_channels: Mapping[str, int]) -> tuple[str, str | None]:
    """Return the first modality, taken for the spectral one, and the second or None.

    Args:
        name: of the model, for the message.
        in_channels: bands by modality, in order.

    Raises:
        InputError: there are three modalities or more.
    """
    spectral, *others = in_channels
    if len(others) > 1:
        raise InputError(
            f"{name} fuses a spectral and one auxiliary modality, in_channels names {len(in_channels)}: "
            f"{', '.join(in_channels)}"
        )
    return spectral, others[0] if others else None
