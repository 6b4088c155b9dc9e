"""Mirrors: where the files of cards are served, as ``<mirror>/<model>/<file>``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.download.settings import Patience
from m3amba_zoo.hub.index import PublishedFile

MIRRORS_VARIABLE = "M3AMBA_MIRRORS"
CHUNK = 2**18  # bytes


class Refused(InputError):
    """What a mirror gave is not the published file; asking it again would not mend that."""


class Interrupted(InputError):
    """A transfer broke off or did not begin; the same mirror may well serve it later.

    Attributes:
        wait: seconds that the mirror asked to wait.
    """

    def __init__(self, message: str, wait: float = 0) -> None:
        super().__init__(message)
        self.wait = wait


class Body(NamedTuple):
    """Bytes on their way.

    Attributes:
        source: the file's address, for messages.
        start: position in the file of the first; 0 from a mirror that does not resume.
        chunks: the bytes; the iterator raises Refused or Interrupted, and nothing else.
    """

    source: str
    start: int
    chunks: Iterator[bytes]


class Mirror(Protocol):
    """A place that serves cards; its string names it in messages, without passwords."""

    def open(self, model: str, file: PublishedFile, start: int) -> AbstractContextManager[Body]:
        """Ask for a file from a position on; raises Refused or Interrupted."""


class FolderMirror:
    """A mirror's tree in a folder: a USB stick, a network drive."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    @contextmanager
    def open(self, model: str, file: PublishedFile, start: int) -> Iterator[Body]:
        """Open a file at a position."""
        path = self.root / model / file.path
        try:
            stream = path.open("rb")
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        with stream:
            yield Body(str(path), start, self._chunks(stream, start))

    @staticmethod
    def _chunks(stream: BinaryIO, start: int) -> Iterator[bytes]:
        try:
            stream.seek(start)
            while chunk := stream.read(CHUNK):
                yield chunk
        except OSError as error:
            raise Interrupted(f"{stream.name}: {error.strerror}") from error


def mirror_names(given: Sequence[str] = ()) -> list[str]:
    """Return the mirrors given, then those of ``$M3AMBA_MIRRORS`` (separated by spaces or commas).

    Raises:
        InputError: one is no address.
    """
    named = re.split(r"[\s,]+", os.environ.get(MIRRORS_VARIABLE, ""))
    names = list(dict.fromkeys(filter(None, [*given, *named])))
    for name in names:
        try:
            urlsplit(name)
        except ValueError as error:
            raise InputError(f"mirror '{name}': is no address ({error})") from error
    return names


def is_remote(name: str) -> bool:
    """Whether a mirror needs the network; raises ValueError where the address is none (``http://[``)."""
    return urlsplit(name).scheme in ("http", "https")


def open_mirror(name: str, patience: Patience) -> Mirror:
    """Return a mirror by its address: ``http://``, ``https://``, ``file://`` or a folder.

    Raises:
        InputError: another scheme.
    """
    if is_remote(name):
        # urllib3 opens a socket when it is imported, which nobody may do who is offline
        from m3amba_zoo.hub.download.http_mirror import HttpMirror

        return HttpMirror(name, patience)
    scheme, separator, _ = name.partition("://")
    if separator and scheme != "file":
        raise InputError(f"mirror '{name}': expected http://, https://, file:// or a folder")
    folder = Path(url2pathname(urlsplit(name).path)) if separator else Path(name).expanduser()
    return FolderMirror(folder)


def shown(url: str) -> str:
    """Return an address as messages may show it: without user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
