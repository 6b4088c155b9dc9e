"""Random forests on the CPU, compiled by numba at first use."""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from m3amba_zoo.ops import numba_settings  # noqa: F401 - before anything is compiled


@njit(parallel=True, cache=True)
def mean_shares(
    pixels: NDArray[np.float32],
    first: NDArray[np.int64],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    right: NDArray[np.int32],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the mean over trees of the class shares in the leaf that each pixel reaches, ``(n, K)``.

    Args:
        pixels: ``(n, C)``.
        first: the first node of each tree.
        feature: the band that each node compares; -1 in a leaf.
        threshold: a pixel goes left, to the next node, if its band is not above.
        right: the node to go to otherwise; in a leaf the row of its shares.
        shares: of classes, ``(kinds of leaves, K)``.
    """
    found = np.zeros((len(pixels), shares.shape[1]))
    for pixel in prange(len(pixels)):
        for tree in range(len(first)):
            node = first[tree]
            while feature[node] >= 0:
                below = pixels[pixel, feature[node]] <= threshold[node]
                node = node + 1 if below else np.int64(right[node])
            for k in range(shares.shape[1]):
                found[pixel, k] += shares[right[node], k]
    return found / len(first)
