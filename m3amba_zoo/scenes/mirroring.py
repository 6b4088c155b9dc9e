"""What a window shows beyond the border of a scene: the scene mirrored there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mirrored_indices(start: int, count: int, length: int) -> NDArray[np.intp]:
    """Return the indices ``start .. start + count - 1``, reflected into ``0 .. length - 1``.

    The border itself is not repeated: -1 is 1, and ``length`` is ``length - 2``.
    """
    if length == 1:
        return np.zeros(count, np.intp)
    period = 2 * (length - 1)
    indices = np.arange(start, start + count) % period
    return np.minimum(indices, period - indices)
