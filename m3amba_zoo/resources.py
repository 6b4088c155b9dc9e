"""What this machine has left for a process: memory under every limit, disk, and the size of folders."""

from __future__ import annotations

import errno
import os
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from m3amba_zoo.errors import printable

CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# files of a limit, of what is used and of its parts, and the part that is given back when it is needed
VERSION_2 = ("memory.max", "memory.current", "memory.stat", "inactive_file")
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")
GIBIBYTE = 2**30
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
    """Return the least of what the machine, its containers and ``ulimit -v`` leave to this process."""
    free = [FreeMemory(psutil.virtual_memory().available, "the machine"), *_of_cgroups()]
    try:
        import resource
    except ImportError:  # Windows
        return min(free)
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        free.append(FreeMemory(max(most - psutil.Process().memory_info().vms, 0), "ulimit -v"))
    return min(free)


def _of_cgroups() -> Iterator[FreeMemory]:
    """Yield what each control group of Linux above this process leaves; a container's is the outermost."""
    if not OWN_CGROUPS.is_file():
        return
    for line in OWN_CGROUPS.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, names = (CGROUPS / "memory", VERSION_1) if controllers else (CGROUPS, VERSION_2)
        group = root / path.lstrip("/")
        # in a container, the path may be that of the host, which is not there
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(root))):
            left = _left_in(folder, *names)
            if left is not None:
                yield FreeMemory(left, "the container or job (cgroup)")


def _left_in(folder: Path, limit: str, used: str, parts: str, reclaimed: str) -> int | None:
    try:
        most = (folder / limit).read_text().strip()
        if not most.isdigit():  # "max"
            return None
        found = dict(line.split() for line in (folder / parts).read_text().splitlines())
        return max(int(most) - int((folder / used).read_text()) + int(found.get(reclaimed, 0)), 0)
    except OSError:
        return None


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


def existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())


def free_disk(path: Path) -> int:
    """Return the bytes that are free where a path is, or where it would be made."""
    return shutil.disk_usage(existing(path)).free


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, 0 if it is not there; links are not followed."""
    sizes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                sizes += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return sizes


def in_words(size: int) -> str:
    """Return a number of bytes for people, such as ``1.5 GiB`` or ``20 MiB``."""
    return f"{size / GIBIBYTE:.1f} GiB" if size >= GIBIBYTE else f"{size / 2**20:.0f} MiB"
