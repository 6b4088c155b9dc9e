"""Memory: how much can still be had, and how a command's process keeps what it has freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUPS = Path("/proc/self/cgroup")
CONTROL_GROUP_FILES = Path("/sys/fs/cgroup")
# limit, use, and the part of the use that the kernel gives back when asked (cached files), by version
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = ("memory.max", "memory.current", "inactive_file")


def available_bytes(device: str | torch.device = "cpu") -> int | None:
    """Return how much memory can be had, on the CPU without swapping; None where the system does not say."""
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what torch's allocator holds unused is free for tensors too
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type != "cpu" or not MEMORY_INFO.is_file():
        return None
    return min([_field(MEMORY_INFO, "MemAvailable:") * 1024, *_left_in_control_groups()])


def _left_in_control_groups() -> Iterator[int]:
    """Yield what each limit leaves that applies to this process; a container's limit is one."""
    lines = CONTROL_GROUPS.read_text().splitlines() if CONTROL_GROUPS.is_file() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CONTROL_GROUP_FILES / "memory" if controllers else CONTROL_GROUP_FILES
        limit, used, reclaimable = VERSION_1 if controllers else VERSION_2
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):  # a group's limit holds for the groups below it
            if not folder.is_relative_to(root):
                break
            if (folder / limit).is_file() and (value := (folder / limit).read_text().strip()).isdigit():
                use = int((folder / used).read_text()) - _field(folder / "memory.stat", reclaimable)
                yield max(0, int(value) - use)


def _field(path: Path, name: str) -> int:
    """Return the number behind a name in a file of one name a line; 0 without it."""
    lines = (line.split() for line in path.read_text().splitlines()) if path.is_file() else ()
    return next((int(words[1]) for words in lines if words and words[0] == name), 0)


# glibc's names and numbers (mallopt(3))
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_ON_HEAP = 32 * 2**20  # what mallopt allows
NEVER = 2**31 - 1
PAD = 64 * 2**20


def keep_freed_memory() -> None:
    """Tell glibc's allocator to reuse freed memory; elsewhere do nothing.

    A network allocates and frees the same activations layer after layer. As glibc comes, each of them is
    returned to the system and faulted in again page by page, which takes a tenth of a forward's time.
    Only commands call this: a library leaves its host's allocator alone.
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
