"""What a disk has left, and what folders take of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


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
