"""Mirrors: places that serve the files of cards as ``<mirror>/<model>/<file>``.

No library does the transfer, since none caps the size: pooch, huggingface_hub, and requests when it follows
redirects, all read an answer to its end. Cards are small, so a file is held in memory until it is compared.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.index import PublishedFile

if TYPE_CHECKING:
    import requests

MIRRORS_VARIABLE = "M3AMBA_MIRRORS"
CONNECT, SILENCE = 10.0, 30.0  # s, until a mirror takes the connection, and without a byte from it
TOTAL, SLOWEST = 60.0, 16_000  # s for a file, beside what its size takes at this rate in bytes/s
REDIRECTS = 5
CHUNK = 2**18  # bytes
# a compressed answer could not be compared with the published size
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "m3amba_zoo"}


def mirror_names(given: Sequence[str] = ()) -> list[str]:
    """Return the given mirrors, then those of ``$M3AMBA_MIRRORS`` (separated by spaces or commas).

    Raises:
        InputError: if an address is malformed, or neither ``http(s)://``, ``file://`` nor a folder.
    """
    named = re.split(r"[\s,]+", os.environ.get(MIRRORS_VARIABLE, ""))
    names = list(dict.fromkeys(filter(None, [*given, *named])))
    for name in names:
        try:
            parts = urlsplit(name)
            malformed = parts.port == 0 or (is_remote(name) and not parts.hostname)
        except ValueError:
            malformed = True
        if malformed:  # it is not shown, as nobody can tell where in it a password is
            scheme = re.sub(r"(?s)^([\w+.-]+:)?.*", r"\1", name)
            raise InputError(
                f"mirror '{scheme}...': is malformed, expected {scheme or 'http:'}//host:port/path"
            )
        if "://" in name and parts.scheme not in ("http", "https", "file"):
            raise InputError(f"mirror '{shown(name)}': expected http://, https://, file:// or a folder")
    return names


def is_remote(address: str) -> bool:
    """Whether an address needs the network; raises ValueError for a malformed one."""
    return urlsplit(address).scheme in ("http", "https")


def shown(address: str) -> str:
    """Return an address for messages, without user, password and query, as they may be secret.

    A folder keeps an ``@`` in its name, unless what stands before it looks like ``user:password``.
    """
    if "://" in address:
        return re.sub(r"(?is)[^/?#]*(?:@|%40)|[?#].*", "", address)
    return re.sub(r"(?i)[^/]*(?::|%3a)[^/]*(?:@|%40)", "", address)


def fetch_file(mirror: str, model: str, file: PublishedFile) -> bytes:
    """Return the content of a file from a mirror, compared with the index.

    Args:
        mirror: its address, from ``mirror_names``. ``{model}`` and ``{file}`` may stand in one of HTTP.
        model: the name of the card.
        file: what was published.

    Raises:
        InputError: if the mirror cannot be reached, is too slow, or lacks the published file. At most one
            chunk more than the published size is read.
    """
    if is_remote(mirror):
        template = mirror if "{file}" in mirror else mirror.rstrip("/") + "/{model}/{file}"
        url = template.replace("{model}", model).replace("{file}", file.path)
        place, chunks = shown(url), _url_chunks(url, file.size)
    else:
        root = Path(url2pathname(urlsplit(mirror).path) if "://" in mirror else mirror).expanduser()
        path = root / model / file.path
        place, chunks = shown(str(path)), _file_chunks(path)
    content = bytearray()
    with closing(chunks):
        for chunk in chunks:
            content += chunk
            if len(content) > file.size:
                raise InputError(
                    f"{place}: has more than the {file.size} bytes that were published: it is refused"
                )
    file.compare(place, len(content), hashlib.sha256(content).hexdigest())
    return bytes(content)


def _file_chunks(path: Path) -> Generator[bytes, None, None]:
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        # without the cause, whose text may have a password
        raise InputError(f"{shown(str(path))}: {error.strerror}") from None


def _url_chunks(url: str, size: int) -> Generator[bytes, None, None]:
    import requests  # here, as urllib3 opens a socket when it is imported, which offline is forbidden
    from urllib3.exceptions import HTTPError

    allowed = TOTAL + size / SLOWEST
    deadline = time.monotonic() + allowed
    try:
        with requests.Session() as session, closing(_get(session, url)) as response:
            # read1 returns what has come, so that a trickle of single bytes meets the deadline
            while chunk := response.raw.read1(CHUNK, decode_content=False):
                yield chunk
                if time.monotonic() > deadline:
                    raise InputError(f"{shown(url)}: too slow, it took more than {allowed:.0f} s")
    except (HTTPError, OSError, ValueError) as error:
        # without the cause, whose text may have the password
        raise InputError(f"{shown(url)}: the transfer failed ({_root_cause(error)})") from None


def _get(session: requests.Session, url: str) -> requests.Response:
    """Return the answer 200 to a request, after at most five redirects."""
    from requests import Request

    for _ in range(REDIRECTS + 1):
        request = session.prepare_request(Request("GET", url, headers=HEADERS))
        settings = session.merge_environment_settings(url, {}, True, None, None)
        # the session itself would read the body of a redirect to its end
        response = session.get_adapter(url).send(request, timeout=(CONNECT, SILENCE), **settings)
        if response.status_code == 200:
            return response
        response.close()
        if not response.is_redirect:
            raise InputError(f"{shown(url)}: answers {response.status_code}, expected 200")
        target = urljoin(url, response.headers["Location"])
        if not is_remote(target):
            raise InputError(f"{shown(url)}: redirects to '{shown(target)}', expected http:// or https://")
        url = target
    raise InputError(f"{shown(url)}: redirects more than {REDIRECTS} times")


def _root_cause(error: BaseException) -> str:
    """Return the system's word on an error that libraries have wrapped, else the name of its type."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
