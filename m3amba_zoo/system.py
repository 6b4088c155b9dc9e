"""What is asked of the machine: whole files, their sha256, the cache, freed memory, the offline switch."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import psutil

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import open_plain

# glibc's names and numbers (mallopt(3))
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_ON_HEAP = 32 * 2**20  # what mallopt allows
NEVER = 2**31 - 1
PAD = 64 * 2**20
OFFLINE_VARIABLE = "M3AMBA_OFFLINE"
CACHE_VARIABLE = "M3AMBA_CACHE"
WEIGHTS_VARIABLE = "M3AMBA_WEIGHTS"  # a folder of cards, and of encoders' weights
NOT_OFFLINE = ("", "0", "false", "no", "off")
HOST = re.sub(r"\W", "_", platform.node())
CLOCKS = 5.0  # s by which the clocks of files and of processes may differ
SERVICES = (
    "WMS", "WMTS", "WCS", "STACIT", "STACTA", "HTTP", "DAAS", "EEDA", "EEDAI", "PLMOSAIC", "PLSCENES", "WFS",
    "OAPIF", "OGCAPI", "CSW", "Carto", "AmigoCloud", "Elasticsearch", "NGW", "ADBC", "GPSBabel",
)  # fmt: skip
"""GDAL's drivers that ask servers, or other programs that do."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # Linux's numbers (renameat2(2))


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it is renamed to ``path`` at the end, or deleted on failure.

    What a killed process left of the same file is removed first.

    Raises:
        InputError: if the file cannot be written (no folder, no permission, a full disk). An earlier file of
            that name is then unchanged.
    """
    path = Path(path)
    aside = _aside(path, path.name)
    try:
        for left in _left_behind(path.parent, path.name):
            left.unlink(missing_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):  # its parent may not be a folder
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill; it is moved to ``path`` when the block ends, or deleted on failure.

    It has the final name already, inside a hidden folder beside ``path``, for code that reads that name.
    What a killed process left of the same folder is removed first, and what it had moved aside put back.

    Args:
        path: of the folder; missing parents are made.
        replace: whether to replace an earlier folder that is not empty, once the new one is whole.

    Raises:
        InputError: if the folder cannot be written, or an earlier one may not be replaced. An earlier folder
            is then unchanged.
    """
    path = Path(os.path.abspath(path))
    aside = _aside(path, f".{path.name}")
    folder, before = aside / "new" / path.name, aside / "before"
    first = not path.parent.exists()
    try:
        _clear_up(path)
        folder.mkdir(parents=True)
        yield folder
        if path.exists() and not replace:
            path.rmdir()
        if not path.exists():
            folder.rename(path)
        elif not _exchanged(folder, path):
            path.rename(before)
            try:
                folder.rename(path)
            except BaseException:
                before.rename(path)
                raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if first:
            with contextlib.suppress(OSError):  # not empty if the folder was written
                path.parent.rmdir()


def sweep(folder: str | Path) -> None:
    """Remove what killed processes left half-written in a folder and in those below it.

    Only for folders that are the package's own, such as work dirs: a name that ends in ``.<number>.part``
    could be a user's elsewhere.
    """
    for below in (Path(folder), *(path for path in Path(folder).rglob("*") if path.is_dir())):
        for left in list(_left_behind(below)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _aside(path: Path, name: str) -> Path:
    """Return where this process writes what is to become ``path``."""
    return path.with_name(f"{name}.{HOST}-{os.getpid()}.part")


def _left_behind(folder: Path, name: str | None = None) -> Iterator[Path]:
    """Yield the parts of a file or folder, or of any, whose process was on this machine and is dead."""
    pattern = re.compile(rf"{'.+' if name is None else re.escape(name)}\.(?:(\w*)-)?(\d+)\.part")
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        found = pattern.fullmatch(path.name)
        if found and found[1] in (HOST, None) and not _is_at_work(int(found[2]), path):
            yield path


def _is_at_work(process: int, part: Path) -> bool:
    """Return whether a process lives and may have written a part: its number may be given anew."""
    try:
        return psutil.Process(process).create_time() < part.stat().st_mtime + CLOCKS
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except psutil.Error:  # another user's
        return True


def _clear_up(path: Path) -> None:
    """Put a folder back that a killed process has moved aside, and remove what it was to be replaced by."""
    for left in list(_left_behind(path.parent, f".{path.name}")):
        if (left / "before").exists() and not path.exists():
            (left / "before").rename(path)
        shutil.rmtree(left, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, so that there is one at every moment; False where that is unknown."""
    if not sys.platform.startswith("linux"):
        return False
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = os.fsencode(one), os.fsencode(other)
    return exchange is not None and not exchange(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE)


def same_file(one: str | Path, other: str | Path) -> bool:
    """Return whether two paths lead to one file, by links too, whether it exists or not."""
    one, other = os.path.realpath(one), os.path.realpath(other)
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.normcase(one) == os.path.normcase(other)


def sha256_of(path: Path) -> str:
    """Return a file's sha256, 64 hexadecimal digits; raises as ``open_plain``."""
    digest = hashlib.sha256()
    with open_plain(path) as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def cache_root() -> Path:
    """Return the cache: ``$M3AMBA_CACHE``, else ``m3amba_zoo`` in the user's cache folder (``~/.cache``)."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("m3amba_zoo", False))


@contextlib.contextmanager
def one_thread_per_operation() -> Iterator[None]:
    """Let torch's operations run in one thread each, for the time of the block."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


def is_offline() -> bool:
    """Return whether ``$M3AMBA_OFFLINE`` forbids the network: it is set, but not to 0, false, no or off."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in NOT_OFFLINE


def forbid_servers() -> None:
    """Tell GDAL, by its own environment variables, to ask no server, if ``$M3AMBA_OFFLINE`` is set.

    Drivers are left out only before they are registered, so this is called where the package first imports
    what brings a GDAL. What a file leads to is looked at, too (``rasters/indirect.py``).
    """
    if not is_offline():
        return
    skipped = {*os.environ.get("GDAL_SKIP", "").replace(",", " ").split(), *SERVICES}
    os.environ["GDAL_SKIP"] = ",".join(sorted(skipped))
    os.environ["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"
    os.environ["GDAL_HTTP_PROXY"] = os.environ["GDAL_HTTPS_PROXY"] = "127.0.0.1:9"  # where nothing listens
    os.environ["GML_DOWNLOAD_SCHEMA"] = "NO"
