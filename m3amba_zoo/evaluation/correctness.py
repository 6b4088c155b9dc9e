"""Which test pixels were right, packed into a run's record, so that runs can be compared in pairs."""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError


def pack(correct: NDArray[np.bool_]) -> str:
    """Pack ``(n,)`` booleans: eight a byte, deflated, in base64."""
    return base64.b64encode(zlib.compress(np.packbits(correct).tobytes(), 9)).decode()


def unpack(packed: str, pixels: int) -> NDArray[np.bool_]:
    """Return the ``(pixels,)`` booleans that ``pack`` took.

    Raises:
        InputError: the text is damaged, or was packed from another number of pixels.
    """
    try:
        bits = np.frombuffer(zlib.decompress(base64.b64decode(packed, validate=True)), np.uint8)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise InputError(f"the packed correctness of {pixels} pixels is damaged ({error})") from error
    if len(bits) != -(-pixels // 8):
        raise InputError(f"the packed correctness has {len(bits)} bytes, expected those of {pixels} pixels")
    return np.unpackbits(bits, count=pixels).astype(bool)
