"""Where downloads are kept, and how long a mirror may take."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "M3AMBA_CACHE"


def cache_folder() -> Path:
    """Return ``$M3AMBA_CACHE``, else ``m3amba_zoo`` in the user's cache folder.

    That is ``~/.cache`` (or ``$XDG_CACHE_HOME``) on Linux, ``~/Library/Caches`` on macOS and
    ``%LOCALAPPDATA%`` on Windows (there with a folder ``Cache`` inside).
    """
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("m3amba_zoo", False))


@dataclass(frozen=True)
class Patience:
    """How long a mirror may take, and how often it is asked again. All times in seconds.

    Attributes:
        connect: until it takes the connection.
        silence: without a byte from it.
        total: for a transfer, beside what its size takes at the slowest rate.
        slowest: bytes a second.
        attempts: how often a file is asked for while the transfer breaks off.
        first_delay: before the second attempt; each further one is twice as long.
        longest_delay: between two attempts; a mirror that asks for more (Retry-After) is given up.
    """

    connect: float = 10
    silence: float = 30
    total: float = 60
    slowest: float = 16_000
    attempts: int = 4
    first_delay: float = 0.5
    longest_delay: float = 60

    def delays(self) -> Iterator[float]:
        """Yield the delay after each failed attempt but the last.

        Each is cut by up to a half at random, so that clients that failed together do not return together.
        """
        for k in range(self.attempts - 1):
            yield min(self.first_delay * 2**k, self.longest_delay) * random.uniform(0.5, 1)


PATIENCE = Patience()
