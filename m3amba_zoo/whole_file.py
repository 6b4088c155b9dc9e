"""Writing a file so that it is there in full or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from m3amba_zoo.errors import InputError


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes the name when the block ends, and goes if it fails.

    Raises:
        InputError: the file cannot be written (no folder, no permission, a full disk); what lay under that
            name before is still there.
    """
    path = Path(path)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be none
            aside.unlink(missing_ok=True)
