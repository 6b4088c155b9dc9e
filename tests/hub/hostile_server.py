"""An HTTP server on loopback that serves published cards, and misbehaves where it is told to."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HostileServer(ThreadingHTTPServer):
    """Serves ``files`` (bytes by path); ``answers`` (functions by path) replace the plain answer.

    Attributes:
        seen: path of each request, in order, without its query.
        authorizations: the header of each request.
        sent: number of bytes of bodies.
        closing: set when the server stops; stalling answers wait for it.
    """

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answers, self.seen, self.authorizations, self.sent = files, {}, [], [], 0
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
        path = self.path.partition("?")[0]
        self.server.seen.append(path)
        self.server.authorizations.append(self.headers.get("Authorization"))
        with suppress(OSError):
            if path in self.server.files:
                self.server.answers.get(path, plain)(self, self.server.files[path])
            else:
                status(404)(self, b"")

    def head(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content):
        self.wfile.write(content)
        self.server.sent += len(content)

    def chunk(self, content):
        self.body(b"%x\r\n%s\r\n" % (len(content), content))

    def endless(self):
        while not self.server.closing.is_set():
            self.chunk(bytes(65536))

    def log_message(self, *args):
        pass


def sends(change, **headers):
    """Send the published bytes after a change, with a true length."""

    def answer(handler, content):
        changed = change(content)
        handler.head(Content_Length=len(changed), **headers)
        handler.body(changed)

    return answer


plain = sends(lambda content: content)


def truncated_chunks(handler, content):
    handler.head(Transfer_Encoding="chunked")
    handler.chunk(content[:-1])
    handler.wfile.write(b"0\r\n\r\n")


def endless(handler, content):
    handler.head(Transfer_Encoding="chunked")
    handler.endless()


def drips(piece, *begin):
    """Send the beginning at once, then a piece again and again, slowly, for ever."""

    def answer(handler, content):
        handler.wfile.write(b"".join(begin))
        while not handler.server.closing.wait(0.02):
            handler.wfile.write(piece)

    return answer


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = HEAD + b"Content-Length: 300000\r\n\r\n"


def redirects(target):
    """Redirect to an address, or to itself, with a body that never ends."""

    def answer(handler, content):
        handler.head(302, Location=target or handler.path, Transfer_Encoding="chunked")
        handler.endless()

    return answer


def status(code):
    return lambda handler, content: handler.head(code, Content_Length=0)


def breaks_off(handler, content):
    handler.head(Content_Length=len(content))
    handler.body(content[: len(content) // 2])


def stalls(handler, content):
    breaks_off(handler, content)
    handler.server.closing.wait(20)


def in_parts(number, pause):
    """Send the content in so many parts, with a pause of so many seconds after each."""

    def answer(handler, content):
        handler.head(Content_Length=len(content))
        size = -(-len(content) // number)
        for start in range(0, len(content), size):
            handler.body(content[start : start + size])
            handler.server.closing.wait(pause)

    return answer


def waits_for(event):
    return lambda handler, content: event.wait(60) and plain(handler, content)
