"""What memory is free, asked before a file's declared size is believed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePath

import psutil

from m3amba_zoo.errors import InputError

SMALL = 2**26
"""Bytes for which nobody asks: looking takes longer than they are worth."""
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
VERSION_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
VERSION_2 = "memory.max", "memory.current", "inactive_file"
"""Files of a control group's limit and use, and the part of the use that the kernel gives back at once."""


def require_memory(path: object, needed: int, what: str, remedy: str = "") -> None:
    """Look whether memory is free before it is asked for.

    Args:
        path: of the file that declares a size.
        needed: bytes.
        what: is to be held, for the message: ``4 bands of 200000 x 200000 uint8``.
        remedy: is added to the message.

    Raises:
        InputError: if less is free; the message has both numbers.
    """
    if needed <= SMALL:
        return
    free = free_memory()
    if needed > free:
        raise InputError(
            f"{path}: {what} would take {in_words(needed)} of memory, but {in_words(free)} are free"
            f"{remedy and f'; {remedy}'}"
        )


def free_memory() -> int:
    """Return how many bytes this process can take: of the machine, its control groups and ``ulimit -v``."""
    return max(0, min([psutil.virtual_memory().available, *_left_in_groups(), *_left_by_limit()]))


def in_words(size: int) -> str:
    """Return a number of bytes as ``40.0 GB``, or ``12.5 MB`` below one."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _left_in_groups() -> Iterator[int]:
    """Yield what the limits of this process's control groups leave, as containers and clusters set them."""
    with contextlib.suppress(OSError, ValueError):  # there are none but on Linux
        for line in OWN_CGROUPS.read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers == "":
                yield from _left_above(CGROUPS, place, *VERSION_2)
            elif "memory" in controllers.split(","):
                yield from _left_above(CGROUPS / "memory", place, *VERSION_1)


def _left_above(root: Path, place: str, limit: str, used: str, cached: str) -> Iterator[int]:
    """Yield what a group and those that it lies in leave; a container may see its own group as the root."""
    inner = PurePath(place.strip("/"))
    for group in (root / inner, *(root / outer for outer in inner.parents)):
        with contextlib.suppress(OSError, ValueError):  # absent, or 'max'
            most, now = (int((group / name).read_text()) for name in (limit, used))
            facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield most - now + int(facts.get(cached, 0))


def _left_by_limit() -> Iterator[int]:
    try:
        import resource  # of POSIX alone
    except ImportError:
        return
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        yield most - psutil.Process().memory_info().vms
