"""Downloads from good, broken and hostile mirrors: what is used is what was published, to the last byte."""

import gzip
import multiprocessing
import os
import resource
import socket
import sys
import threading
import time
import traceback

import hostile_server as hostile
import pytest
from filelock import FileLock
from published import NAME

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import exchange
from m3amba_zoo.hub.transport import cached_folder

GZIP = {"Content_Encoding": "gzip"}


def html(content):
    return b"<html>Please log in</html>".ljust(len(content))[: len(content)]


@pytest.fixture
def server(published):
    with hostile.serve(published.files) as server:
        yield server


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(exchange, "SILENCE", 0.5)
    monkeypatch.setattr(exchange, "BEFORE_BODY", 0.3)
    monkeypatch.setattr(exchange, "WINDOW", 0.3)


def _start(published, server, said):
    """Fetch the card in a process of its own, which writes what it says, then the folder, to a file."""

    def fetch():
        with open(said, "w", buffering=1) as stream:
            sys.stderr = stream
            print(published.fetch(server.url), file=stream)

    process = multiprocessing.get_context("fork").Process(target=fetch)
    process.start()
    return process


def _wait_until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def test_a_card_is_fetched_once_and_appears_whole(published, server):
    folder = published.fetch(server.url)
    assert folder.parent == published.cache
    for file in published.models[NAME].files:
        assert (folder / file.path).read_bytes() == published.files[f"/{NAME}/{file.path}"]
    assert published.left() == [folder.name]
    before = sorted(published.cache.iterdir())
    assert published.fetch(server.url) == folder
    assert len(server.seen) == len(published.models[NAME].files)
    assert sorted(published.cache.iterdir()) == before
    assert not published.marker.exists()


@pytest.mark.parametrize("part", ["config.py", "weights"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(hostile.sends(lambda c: c[:-1] + b"!"), "its sha256 begins with", id="wrong bytes"),
        pytest.param(hostile.sends(lambda c: c[:-1]), r"has \d+ bytes, expected", id="truncated"),
        pytest.param(hostile.truncated_chunks, r"has \d+ bytes, expected", id="truncated chunks"),
        pytest.param(hostile.sends(lambda c: b""), "has 0 bytes, expected", id="empty"),
        pytest.param(hostile.sends(lambda c: c + b"!"), "has more than the", id="longer"),
        pytest.param(hostile.endless, "has more than the", id="endless"),
        pytest.param(hostile.sends(html, Content_Type="text/html"), "its sha256 begins with", id="HTML"),
        pytest.param(hostile.sends(gzip.compress, **GZIP), "bytes", id="compressed"),
        pytest.param(hostile.sends(lambda c: gzip.compress(bytes(10**7)), **GZIP), "bytes", id="zip bomb"),
        pytest.param(hostile.status(404), "answers 404, expected 200", id="404"),
        pytest.param(hostile.status(206), "answers 206, expected 200", id="206"),
        pytest.param(hostile.status(500), "answers 500, expected 200", id="500"),
        pytest.param(hostile.redirects(None), "redirects more than 5 times", id="redirect loop"),
        pytest.param(hostile.redirects("file:///etc/passwd"), "redirects to 'file:...'", id="to a file"),
        pytest.param(hostile.redirects("ftp://u:se/secret@h/?t=secret"), "to 'ftp:...'", id="to FTP"),
        pytest.param(hostile.redirects("http://u:secret@["), "the transfer failed", id="to nowhere"),
        pytest.param(hostile.breaks_off, "the transfer failed", id="breaks off"),
    ],
)
def test_of_a_bad_answer_nothing_is_left_or_executed_and_the_next_mirror_is_asked(
    published, server, hasty, tmp_path, part, answer, says
):
    path = published.weights() if part == "weights" else f"/{NAME}/config.py"
    server.answers[path] = answer
    address = server.url.replace("//", "//user:secret@") + "/{model}/{file}?token=secret"
    with pytest.raises(InputError, match=says) as caught:
        published.fetch(address)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert set(server.authorizations) == {"Basic dXNlcjpzZWNyZXQ="}
    assert published.left() == []
    assert server.sent < 10**8  # what fills the buffers of a few connections
    published.write(tmp_path / "stick")
    folder = published.fetch("not here", server.url, str(tmp_path / "stick"))
    assert (folder / path.split("/")[2]).read_bytes() == published.files[path]
    assert not published.marker.exists()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(lambda handler, _: handler.server.closing.wait(20), "no answer", id="silence"),
        pytest.param(hostile.drips(b"0", b"HTTP/1.1 2"), "no answer", id="status line"),
        pytest.param(hostile.drips(b"a", hostile.HEAD, b"Name: "), "no answer", id="a header"),
        pytest.param(hostile.drips(b"Name: a\r\n", hostile.HEAD), "no answer", id="headers"),
        pytest.param(hostile.drips(b"HTTP/1.1 100 Continue\r\n\r\n"), "no answer", id="100 Continue"),
        pytest.param(hostile.drips(b"0", hostile.CHUNKED), "0 bytes in", id="size of a chunk"),
        pytest.param(hostile.drips(b"a: b\r\n", hostile.CHUNKED, b"0\r\n"), "0 bytes in", id="trailers"),
        pytest.param(hostile.drips(b"a", hostile.BODY), r"\d+ bytes in 0.3 s, expected 10000", id="body"),
        pytest.param(hostile.stalls, r"0 bytes in 0.3 s, .*M3AMBA_LEAST_RATE", id="stalls"),
    ],
)
def test_no_shape_of_slowness_outlasts_the_limits(published, server, hasty, answer, says):
    exchange.SILENCE = 5  # what hasty set is undone after the test
    path = published.weights()
    server.answers[path] = answer
    begun = time.monotonic()
    with pytest.raises(InputError, match=f"too slow, {says}"):
        published.fetch(server.url)
    assert time.monotonic() - begun < 3
    assert published.left() == []
    with FileLock(f"{cached_folder(published.models[NAME])}.lock", timeout=0):
        pass  # nobody waits for this card
    _wait_until(lambda: exchange.THREAD not in {thread.name for thread in threading.enumerate()})


def test_the_least_rate_is_the_users(published, server, hasty, monkeypatch):
    server.answers[published.weights()] = hostile.in_parts(4, 0.2)
    monkeypatch.setenv("M3AMBA_LEAST_RATE", "1e7")
    with pytest.raises(InputError, match="expected 1e\\+07 bytes/s"):
        published.fetch(server.url)
    monkeypatch.setenv("M3AMBA_LEAST_RATE", "1e3")
    assert published.fetch(server.url)
    monkeypatch.setenv("M3AMBA_LEAST_RATE", "fast")
    with pytest.raises(InputError, match="M3AMBA_LEAST_RATE is 'fast', expected bytes per second"):
        exchange.get(server.url, 1)


def test_what_a_server_says_is_printed_without_codes_and_without_the_token(
    published, server, hasty, caplog, capsys
):
    caplog.set_level("DEBUG")
    head = b"HTTP/1.1 302 \x1b[31mred\r\nno header \x1b[31m\r\nLocation: x\x1b]0;red:secret@\x07\r\n\r\n"
    server.answers[published.weights()] = lambda handler, _: handler.wfile.write(head)
    with pytest.raises(InputError) as caught:
        published.fetch(f"{server.url}/{{model}}/{{file}}?token=secret")
    told = f"{caught.value}{caplog.text}{capsys.readouterr()}"
    assert "\x1b" not in told
    assert "secret" not in told


def test_a_redirect_is_followed_but_never_with_the_password(published, server):
    with hostile.serve(published.files) as other:
        path = published.weights()
        server.answers[path] = hostile.redirects(other.url + path)
        assert published.fetch(server.url.replace("//", "//user:secret@"))
        assert (other.seen, other.authorizations) == ([path], [None])


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://me:secret@127.0.0.1:9", r"http://127\.0\.0\.1:9/.*the transfer failed \(Connection refused"),
        ("http://me:secret@:80", "mirror 'http:...': is malformed, expected http://host"),
        ("http:/me:secret@host", "mirror 'http:...': is malformed"),
        ("ftp://me:secret@host/x", "mirror 'ftp://host/x': expected http://, https://, file:// or a folder"),
        ("http://me:secret/@host", "mirror 'http:...': is malformed"),
        ("http://me:secret@[", "mirror 'http:...': is malformed"),
        ("//secret@host:port", "mirror '...': is malformed, expected http://host"),
        ("git+https://me:secret@host/x", r"mirror 'git\+https://host/x': expected http"),
        ("a.b-c://me:s%40secret@host/x?key=secret", "mirror 'a.b-c://host/x': expected http"),
        ("git+https://me%3Asecret%40host/x", r"mirror 'git\+https://host/x': expected http"),
        ("me:secret@host/x", r": host/x/.*No such file"),
        ("//me:secret@host/x", r": //host/x/.*No such file"),
        ("me%3asecret%40host/x", r": host/x/.*No such file"),
        ("http%3A//me:secret@host/x", r"host/x/.*No such file"),
        ("host/x?token=secret", r": host/x: No such file"),
        ("stick@home/x", r": stick@home/x/.*No such file"),
    ],
)
def test_a_bad_address_is_named_without_its_password(published, address, says):
    with pytest.raises(InputError, match=says) as caught:
        published.fetch(address)
    assert "secret" not in str(caught.value)
    assert published.left() == []


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_a_folder_that_serves_no_plain_file_is_refused_at_once(published, tmp_path, monkeypatch, kind):
    file = published.write(tmp_path / "stick") / "config.py"
    file.unlink()
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "socket":
        monkeypatch.chdir(file.parent)  # its whole path may be too long for a socket
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(file.name)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    with pytest.raises(InputError, match=rf"config\.py: is a {kind}, expected a file"):
        published.fetch(f"file://{tmp_path}/stick")
    assert published.left() == []


def test_a_full_disk_is_reported_and_not_filled_further(published, server):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cache: the cache cannot be written \(File too large"):
            published.fetch(server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert published.left() == []
    assert published.fetch(server.url)


def test_a_cache_that_cannot_be_written_is_reported_before_anything_is_asked(published, server):
    published.cache.write_text("a file where the folder should be")  # holds for root too
    with pytest.raises(InputError, match=r"the cache cannot be written .*M3AMBA_CACHE"):
        published.fetch(server.url)
    assert server.seen == []


def test_two_processes_fetch_a_card_once(published, server, tmp_path):
    go_on = threading.Event()
    server.answers[published.weights()] = hostile.waits_for(go_on)
    said = [tmp_path / "one", tmp_path / "two"]
    both = [_start(published, server, path) for path in said]
    _wait_until(lambda: any("waiting for another" in path.read_text() for path in said if path.exists()))
    go_on.set()
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert [path.read_text().splitlines()[-1] for path in said] == [str(published.fetch())] * 2
    own = [path for path in published.files if path.startswith(f"/{NAME}/")]
    assert sorted(server.seen) == sorted(own)


def test_what_a_killed_download_left_is_swept(published, server, tmp_path):
    path = published.weights()
    server.answers[path] = hostile.stalls
    process = _start(published, server, tmp_path / "said")
    try:
        _wait_until(lambda: path in server.seen)
    finally:
        process.kill()
        process.join()
    (aside,) = published.left()
    assert aside.endswith(".part")
    (published.cache / aside / "stray.py").write_text("exit()")
    (published.cache / aside / "config.py").write_text("exit()")
    del server.answers[path]
    folder = published.fetch(server.url)
    assert published.left() == [folder.name]
    assert len(list(folder.iterdir())) == len(published.models[NAME].files)
