"""Writing a file or a folder so that it is there in full or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
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


@contextlib.contextmanager
def whole_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder of the same name elsewhere; it takes its place when the block ends, else it goes.

    It lies in a hidden folder beside ``path``, so that what reads the folder's own name may read it already.

    Args:
        path: of the folder; its parents are made.
        replace: whether a folder that lies there goes, once the new one is whole; an empty one always does.

    Raises:
        InputError: the folder cannot be written, or one lies there that may not go; it is still there.
    """
    path = Path(os.path.abspath(path))
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    folder, before = aside / "new" / path.name, aside / "before"
    first = not path.parent.exists()
    try:
        folder.mkdir(parents=True)
        yield folder
        if path.exists() and not replace:
            path.rmdir()
        elif path.exists():
            path.rename(before)
        try:
            folder.rename(path)
        except BaseException:
            if before.exists():
                before.rename(path)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if first:
            with contextlib.suppress(OSError):  # it is not empty: the folder lies there
                path.parent.rmdir()
