"""Compiles the CPU kernels: once, cached on disk between runs, and logged when it happens."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, typeof
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_SHARED_SOURCES = [Path(__file__).with_name(name).read_bytes() for name in ("simd.py", "cpu_tile.py")]
_SHARED_DIGEST = hashlib.sha256(b"".join(_SHARED_SOURCES)).hexdigest()


class _PackageCache(FunctionCache):
    """numba's cache, which watches a kernel's own file, extended to the files that kernels share."""

    def _index_key(self, signature, codegen):
        return *super()._index_key(signature, codegen), _SHARED_DIGEST


def kernel(function: Callable) -> Any:
    """Make a numba kernel that runs without the interpreter's lock and is cached on disk if possible.

    numba tries the source file's folder, then the user's cache; ``NUMBA_CACHE_DIR`` names another folder.
    """
    dispatcher: Any = njit(nogil=True)(function)
    try:
        dispatcher._cache = _PackageCache(function)
    except RuntimeError:  # no folder is writable: every run compiles again
        logger.debug("no folder is writable for the compiled kernels; set NUMBA_CACHE_DIR")
    return dispatcher


def compile_for(dispatcher: Any, arguments: tuple) -> None:
    """Compile a kernel for these arguments, or read it from the cache, unless that has been done.

    Logs the seconds that compiling took as a warning, because users see warnings by default.
    """
    if dispatcher.signatures:  # compiled: each argument of a kernel has one type only
        return
    with _lock:
        if dispatcher.signatures:
            return
        started, place = time.perf_counter(), dispatcher.stats.cache_path
        outcome = f"kept for the next run in {place}" if place else "set NUMBA_CACHE_DIR to keep it"
        try:
            dispatcher.compile(tuple(map(typeof, arguments)))
        except OSError as error:
            if not dispatcher.signatures:
                raise
            outcome = f"it could not be kept for the next run: {error}"
        if dispatcher.stats.cache_misses:
            name = f"{dispatcher.__module__.rpartition('.')[2]}.{dispatcher.__name__}"
            seconds = time.perf_counter() - started
            logger.warning("compiled the CPU scan (%s) in %.1f s; %s", name, seconds, outcome)
