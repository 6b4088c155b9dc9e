"""How a command's process keeps the memory that it has freed."""

from __future__ import annotations

import ctypes
import sys

# glibc's names and numbers (mallopt(3))
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_ON_HEAP = 32 * 2**20  # what mallopt allows
NEVER = 2**31 - 1
PAD = 64 * 2**20


def keep_freed_memory() -> None:
    """Tell glibc's allocator to reuse freed memory; elsewhere do nothing.

    A network allocates and frees the same activations layer after layer. By default glibc returns each of
    them to the system and fetches it again page by page, which takes a tenth of the time of a forward pass.
    Only commands call this: a library leaves the allocator of its host program alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return
    for parameter, value in (
        (M_MMAP_THRESHOLD, LARGEST_ON_HEAP),
        (M_TRIM_THRESHOLD, NEVER),
        (M_TOP_PAD, PAD),
    ):
        mallopt(parameter, value)
