"""An HTTP server on loopback that serves published cards, and misbehaves where it is told to."""

import gzip
import re
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HostileServer(ThreadingHTTPServer):
    """Serves ``files`` (bytes by path); ``answers`` (by path, or "" for all others) replace the plain answer.

    Attributes:
        seen: path and Range header ("" for none) of each request, in order.
        sent: bytes of bodies by path.
        closing: set when the server stops; what stalls waits for it.
    """

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answers, self.seen, self.sent = files, {}, [], {}
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are the point


@contextmanager
def serve(files):
    server = HostileServer(files)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.close_connection = True
        server = self.server
        server.seen.append((self.path, self.headers.get("Range", "")))
        content = server.files.get(self.path)
        answer = server.answers.get(self.path, server.answers.get("", plain))
        with suppress(OSError):
            status(404)(self, b"") if content is None else answer(self, content)

    def head(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content):
        for k in range(0, len(content), 4096):
            self.wfile.write(content[k : k + 4096])
            self.server.sent[self.path] = self.server.sent.get(self.path, 0) + len(content[k : k + 4096])

    def chunk(self, content):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def log_message(self, *args):
        pass


def plain(handler, content):
    """What a good server answers, also to a Range."""
    start = int((re.findall(r"\d+", handler.headers.get("Range", "")) or [0])[0])
    if start:
        total = len(content)
        span = f"bytes {start}-{total - 1}/{total}"
        handler.head(206, Content_Length=total - start, Content_Range=span)
    else:
        handler.head(Content_Length=len(content))
    handler.body(content[start:])


def without_range(handler, content):
    handler.head(Content_Length=len(content))
    handler.body(content)


def other_range(handler, content):
    """A 206 that begins elsewhere than it was asked to."""
    handler.head(206, Content_Length=len(content), Content_Range=f"bytes 0-{len(content) - 1}/{len(content)}")
    handler.body(content)


def altered(handler, content):
    plain(handler, content[:-1] + bytes([content[-1] ^ 1]))


def truncated(handler, content):
    plain(handler, content[:-100])


def longer(handler, content):
    plain(handler, content + b"!")


def truncated_chunks(handler, content):
    handler.head(Transfer_Encoding="chunked")
    handler.chunk(content[:-100])
    handler.wfile.write(b"0\r\n\r\n")


def endless(handler, content):
    handler.head(Transfer_Encoding="chunked")
    while not handler.server.closing.is_set():
        handler.chunk(bytes(65536))
        handler.server.sent[handler.path] = handler.server.sent.get(handler.path, 0) + 65536


def web_page(handler, content):
    page = b"<html>Please log in</html>".ljust(len(content))
    handler.head(Content_Type="text/html; charset=utf-8", Content_Length=len(page))
    handler.body(page)


def zip_bomb(handler, content):
    bomb = gzip.compress(bytes(10**7))
    handler.head(Content_Encoding="gzip", Content_Length=len(bomb))
    handler.body(bomb)


def silent(handler, content):
    handler.server.closing.wait(20)


def trickle(handler, content):
    handler.head(Content_Length=len(content))
    for k in range(len(content)):
        handler.body(content[k : k + 1])
        if handler.server.closing.wait(0.02):
            return


def redirects(target):
    def answer(handler, content):
        # a body of its own, which a client need not read
        handler.head(302, Location=target or handler.path, Content_Length=10**12)

    return answer


def status(code, **headers):
    def answer(handler, content):
        handler.head(code, Content_Length=0, **headers)

    return answer


def stalls_after(count):
    def answer(handler, content):
        handler.head(Content_Length=len(content))
        handler.body(content[:count])
        handler.server.closing.wait(20)

    return answer


def breaks_off_after(count):
    def answer(handler, content):
        handler.head(Content_Length=len(content))
        handler.body(content[:count])

    return answer


def in_turn(*answers):
    """Give these answers one after the other, then the last for good."""
    left = list(answers)

    def answer(handler, content):
        (left.pop(0) if len(left) > 1 else left[0])(handler, content)

    return answer


def waits_for(event, then=plain):
    def answer(handler, content):
        event.wait(60)
        then(handler, content)

    return answer
