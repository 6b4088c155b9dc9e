"""The memory that this process may still take, and what is said where it is not enough."""

from __future__ import annotations

import contextlib
import errno
import traceback
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

import psutil

from m3amba_zoo.disk import free_disk
from m3amba_zoo.errors import InputError, printable

SMALL = 2**26
"""Bytes for which nobody asks: looking takes longer than they are worth."""
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
VERSION_1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
VERSION_2 = "memory.max", "memory.current", "inactive_file"
"""Files of a control group's limit and use, and the part of the use that the kernel gives back at once."""
# words of torch's allocator, the system and its loader of libraries
OUT_OF_MEMORY = (
    "not enough memory",
    "DefaultCPUAllocator",
    "Cannot allocate memory",
    "failed to map segment",
)
# words of torch on the memory that data workers share with their process
OUT_OF_SHARED_MEMORY = ("shared memory(shm)", "unable to write to file </torch_", "out of shared memory")
SHARED_MEMORY = Path("/dev/shm")


class FreeMemory(NamedTuple):
    """Memory that this process may still take.

    Attributes:
        bytes: how much.
        limit: what sets the limit, in words.
    """

    bytes: int
    limit: str


def free_memory() -> FreeMemory:
    """Return the least of what the machine, its control groups and ``ulimit -v`` leave to this process."""
    free = [FreeMemory(psutil.virtual_memory().available, "the machine")]
    free += [FreeMemory(max(left, 0), "the container or job (cgroup)") for left in _left_in_groups()]
    free += [FreeMemory(max(left, 0), "ulimit -v") for left in _left_by_limit()]
    return min(free)


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
    free, _ = free_memory()
    if needed > free:
        raise InputError(
            f"{path}: {what} would take {in_words(needed)} of memory, but {in_words(free)} are free"
            f"{remedy and f'; {remedy}'}"
        )


def in_words(size: int) -> str:
    """Return a number of bytes as ``40.0 GB``, or ``12.5 MB`` below one."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch, NumPy or the system says that memory, of a GPU too, is at its end."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"  # torch's of a GPU
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (
            isinstance(error, RuntimeError | ImportError)
            and any(words in str(error) for words in OUT_OF_MEMORY)
        )
    )


def memory_fault(error: BaseException) -> str:
    """Return a sentence for an error that lack of memory has raised, "" for any other."""
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1]  # a worker's traceback goes before
    reason = printable(last)[:200]
    if _is_out_of_shared_memory(error):
        left = in_words(free_disk(SHARED_MEMORY)) if SHARED_MEMORY.is_dir() else "none"
        return (
            f"not enough shared memory for data workers ({reason}); {SHARED_MEMORY} has {left} free, a "
            "container gets more by --shm-size, and num_workers=0 of the data loaders takes none"
        )
    if not is_out_of_memory(error):
        return ""
    free, limit = free_memory()
    return f"not enough memory ({reason}); {in_words(free)} of main memory are free, as {limit} has it"


def _is_out_of_shared_memory(error: BaseException) -> bool:
    if isinstance(error, RuntimeError):
        return any(words in str(error) for words in OUT_OF_SHARED_MEMORY)
    if not (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return False
    # a semaphore of the standard library
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(names) and names[-1].startswith("multiprocessing.")


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
