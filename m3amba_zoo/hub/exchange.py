"""One GET request that ends in time, whatever the server does.

A limit on the silence between two bytes, which is all that requests and urllib3 have, is outlasted by a
server that sends its status line, its headers, the size of a chunk or ``100 Continue`` a byte at a time. So
the transfer runs in a thread, and the caller looks at a clock and cuts the connection.
"""

from __future__ import annotations

import logging
import math
import os
import re
import socket
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from m3amba_zoo.errors import InputError

if TYPE_CHECKING:
    import requests

RATE_VARIABLE = "M3AMBA_LEAST_RATE"
CONNECT, SILENCE = 10.0, 30.0  # s, until a server takes the connection, and without a byte from it
BEFORE_BODY = 60.0  # s from the start to the end of the last answer's headers, with all redirects
LEAST_RATE, WINDOW = 10_000.0, 30.0  # bytes/s of the body, on average over so many seconds
REDIRECTS = 5
CHUNK = 2**18  # bytes
THREAD = "m3amba_zoo.hub.exchange"
# a compressed answer could not be compared with the published size
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "m3amba_zoo"}


def get(url: str, size: int) -> bytes:
    """Return the body of the answer 200.

    Args:
        url: of HTTP or HTTPS. At most five redirects are followed, never with the password.
        size: bytes that are expected; a longer body is read to at most 256 KiB beyond it.

    Raises:
        InputError: if there is no such answer, or the limits above are not kept. The least rate is
            ``$M3AMBA_LEAST_RATE``, if that is set.
    """
    exchange = _Exchange(url, size)
    rate = least_rate()
    exchange.start()
    try:
        if not exchange.answered.wait(BEFORE_BODY):
            raise InputError(f"{shown(url)}: too slow, no answer was complete after {BEFORE_BODY:g} s")
        before = 0
        while not exchange.ended.wait(WINDOW):
            now = len(exchange.content)
            if now - before < rate * WINDOW:
                raise InputError(
                    f"{shown(url)}: too slow, {now - before} bytes in {WINDOW:g} s, "
                    f"expected {rate:g} bytes/s or more (${RATE_VARIABLE})"
                )
            before = now
    finally:
        exchange.cut()
    if isinstance(exchange.failure, InputError):
        raise exchange.failure
    if exchange.failure is not None:
        # without the cause, whose text may have the password
        raise InputError(f"{shown(url)}: the transfer failed ({_root_cause(exchange.failure)})")
    return bytes(exchange.content)


def least_rate() -> float:
    """Return the least rate of a body, bytes/s; 0 for none.

    Raises:
        InputError: if ``$M3AMBA_LEAST_RATE`` is no such number.
    """
    named = os.environ.get(RATE_VARIABLE, "").strip()
    with suppress(ValueError):
        rate = float(named or LEAST_RATE)
        if 0 <= rate < math.inf:
            return rate
    raise InputError(f"${RATE_VARIABLE} is '{named}', expected bytes per second, 0 for no limit")


def is_remote(address: str) -> bool:
    """Whether an address needs the network; raises ValueError for a malformed one."""
    return urlsplit(address).scheme in ("http", "https")


def shown(address: str) -> str:
    """Return an address for messages, without user, password and query, as they may be secret.

    A folder keeps an ``@`` in its name, unless what stands before it looks like ``user:password``.
    """
    address = re.sub(r"(?s)[?#].*" if "://" in address else r"(?s)\?.*", "", address)
    user = r"[^/]*(?:@|%40)" if "://" in address else r"[^/]*(?::|%3a)[^/]*(?:@|%40)"
    return re.sub(f"(?i){user}", "", address)


class _Exchange(threading.Thread):
    """A transfer in a thread of its own.

    Attributes:
        answered: set when the body begins.
        ended: set when there is nothing more to wait for.
        content: of the body, as far as it has come.
        failure: what ended the transfer early.
    """

    def __init__(self, url: str, size: int) -> None:
        super().__init__(name=THREAD, daemon=True)
        self.url, self.size = url, size
        self.answered, self.ended = threading.Event(), threading.Event()
        self.content = bytearray()
        self.failure: Exception | None = None
        self._sockets: list[socket.socket] = []
        self._is_cut, self._lock = False, threading.Lock()

    def run(self) -> None:
        """Read the body into ``content``."""
        try:
            import requests  # here, as urllib3 opens a socket when it is imported, which offline is forbidden

            for name in ("connection", "connectionpool"):
                logging.getLogger(f"urllib3.{name}").addFilter(_has_no_address)
            with requests.Session() as session, closing(self._get(session)) as response:
                self.answered.set()
                while len(self.content) <= self.size:
                    # read1 returns what has come, so that the rate is known
                    chunk = response.raw.read1(CHUNK, decode_content=False)
                    if not chunk:
                        break
                    self.content += chunk
        except Exception as error:
            self.failure = error
        finally:
            self.answered.set()
            self.ended.set()

    def cut(self) -> None:
        """End the connections, in whatever state they are: what waits for one fails at once."""
        with self._lock:
            self._is_cut = True
            for connection in self._sockets:
                with suppress(OSError), connection:  # the server may have ended it
                    connection.shutdown(socket.SHUT_RDWR)
            self._sockets.clear()

    def _watch(self, connection: socket.socket) -> socket.socket:
        with self._lock:
            if self._is_cut:
                connection.close()
                raise TimeoutError
            # a second handle, as TLS takes the first one away
            self._sockets.append(connection.dup())
        return connection

    def _get(self, session: requests.Session) -> requests.Response:
        """Return the answer 200 to a request, after at most five redirects."""
        from requests import Request

        url = self.url
        for scheme in ("http://", "https://"):
            session.mount(scheme, _adapter(self._watch))
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
            if not is_remote(target):  # it is not shown, as nobody can tell where in it a password is
                scheme = urlsplit(target).scheme
                raise InputError(f"{shown(url)}: redirects to '{scheme}:...', expected http:// or https://")
            url = target
        raise InputError(f"{shown(url)}: redirects more than {REDIRECTS} times")


def _adapter(watch: Any) -> Any:
    """Return an adapter of requests that hands each new socket to ``watch``, before TLS begins on it."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            base: Any = pool.ConnectionCls

            class Connection(base):
                def _new_conn(self) -> socket.socket:
                    return watch(super()._new_conn())

            pool.ConnectionCls = Connection
            return pool

    return Adapter()


def _has_no_address(record: logging.LogRecord) -> bool:
    """Tell whether a record of urllib3 is not about an exchange, whose address it would quote in full."""
    return record.threadName != THREAD


def _root_cause(error: BaseException) -> str:
    """Return the system's word on an error that libraries have wrapped, else the name of its type."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
