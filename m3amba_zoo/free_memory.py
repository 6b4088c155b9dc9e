"""How much memory can still be had: on the CPU within the limits of its control groups, or on a GPU."""

from __future__ import annotations

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
