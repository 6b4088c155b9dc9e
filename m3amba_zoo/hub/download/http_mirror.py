"""A mirror behind HTTP: any static web server or object store."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from m3amba_zoo.errors import one_line
from m3amba_zoo.hub.download.mirror import CHUNK, Body, Interrupted, Refused, is_remote, shown
from m3amba_zoo.hub.download.settings import Patience
from m3amba_zoo.hub.index import PublishedFile

REDIRECTS = 5
TRY_AGAIN = (408, 425, 429)  # and all of 500 to 599


class HttpMirror:
    """Cards at ``<address>/<model>/<file>``, or where ``{model}`` and ``{file}`` stand in the address."""

    def __init__(self, address: str, patience: Patience) -> None:
        self.address, self.patience = address, patience

    def __str__(self) -> str:
        return shown(self.address)

    @contextmanager
    def open(self, model: str, file: PublishedFile, start: int) -> Iterator[Body]:
        """Ask for a file from a position on, and take nothing of an answer that cannot be that file."""
        template = self.address if "{file}" in self.address else self.address.rstrip("/") + "/{model}/{file}"
        url = template.replace("{model}", model).replace("{file}", file.path)
        patience = self.patience
        deadline = time.monotonic() + patience.total + (file.size - start) / patience.slowest
        with _Session() as session, closing(_get(session, url, start, patience)) as response:
            start = _accept(response, shown(url), file, start)
            yield Body(
                shown(url),
                start,
                _chunks(response, shown(url), file.size - start, deadline, patience.silence),
            )


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to ``_get``: requests itself would read such an answer in full, however long."""


def _get(session: requests.Session, url: str, start: int, patience: Patience) -> requests.Response:
    # a compressed answer could neither be resumed nor measured, and may unfold without end
    headers = {"Accept-Encoding": "identity", "User-Agent": "m3amba_zoo"}
    if start:
        headers["Range"] = f"bytes={start}-"
    place = shown(url)
    for _ in range(REDIRECTS + 1):
        response = _ask(session, url, headers, patience)
        if not response.is_redirect:
            return response
        response.close()
        target = response.headers["Location"]
        try:
            url = urljoin(url, target)
            known = is_remote(url)
        except ValueError:  # "http://[": no address
            known = False
        if not known:
            raise Refused(f"{place}: redirects to '{target}', expected http:// or https://")
    raise Refused(f"{place}: redirects more than {REDIRECTS} times")


def _ask(
    session: requests.Session, url: str, headers: dict[str, str], patience: Patience
) -> requests.Response:
    place = shown(url)
    try:
        return session.get(url, headers=headers, stream=True, timeout=(patience.connect, patience.silence))
    except requests.ConnectTimeout as error:
        raise Interrupted(f"{place}: no connection within {patience.connect:g} s") from error
    except requests.Timeout as error:
        raise Interrupted(f"{place}: no answer within {patience.silence:g} s") from error
    except requests.exceptions.SSLError as error:
        raise Refused(f"{place}: its certificate is refused ({_root_cause(error)})") from error
    except requests.ConnectionError as error:
        raise Interrupted(f"{place}: no connection ({_root_cause(error)})") from error
    except (requests.RequestException, ValueError) as error:  # an address that is none
        raise Refused(f"{place}: {one_line(error)}") from error


def _accept(response: requests.Response, place: str, file: PublishedFile, start: int) -> int:
    """Return the position at which an answer begins, if by its head it can be the file."""
    status, headers = response.status_code, response.headers
    said = f"{place}: {status} {response.reason}".rstrip()
    if status in TRY_AGAIN or status >= 500:
        raise Interrupted(said, _retry_after(headers.get("Retry-After", "")))
    if status not in (200, 206):
        raise Refused(said)
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Refused(f"{place}: a web page came instead of the file")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Refused(
            f"{place}: it comes compressed ({headers['Content-Encoding']}), expected the plain file"
        )
    if status == 206:
        found = headers.get("Content-Range", "none")
        last = f"{start}-{file.size - 1}"
        if found not in (f"bytes {last}/{file.size}", f"bytes {last}/*"):
            raise Refused(f"{place}: Content-Range is '{found}', expected 'bytes {last}/{file.size}'")
    else:
        start = 0
    length = headers.get("Content-Length")
    if length is not None and length != str(file.size - start):
        raise Refused(f"{place}: has {length} bytes, expected {file.size - start} as published")
    return start


def _chunks(
    response: requests.Response, place: str, expected: int, deadline: float, silence: float
) -> Iterator[bytes]:
    taken = 0
    try:
        # read1 returns what has come, so that a trickle of single bytes cannot hold the loop up
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            yield chunk
            taken += len(chunk)
            if taken < expected and time.monotonic() > deadline:
                raise Interrupted(f"{place}: too slow, {taken} of {expected} bytes came in the time allowed")
    except ReadTimeoutError as error:
        raise Interrupted(
            f"{place}: stalled, no byte for {silence:g} s after {taken} of {expected} bytes"
        ) from error
    except (HTTPError, OSError) as error:
        raise Interrupted(f"{place}: broke off after {taken} of {expected} bytes") from error
    if taken < expected:
        if response.headers.get("Transfer-Encoding", "").lower() == "chunked":  # it has told its end
            raise Refused(f"{place}: has {taken} bytes, expected {expected} as published")
        raise Interrupted(f"{place}: broke off after {taken} of {expected} bytes")


def _retry_after(text: str) -> float:
    """Return the seconds that a Retry-After header asks to wait: a number of them, or a date."""
    if re.fullmatch(r"\s*[0-9]+\s*", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _root_cause(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return (error.strerror if isinstance(error, OSError) and error.strerror else None) or type(error).__name__
