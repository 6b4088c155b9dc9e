"""Downloads from good, broken and hostile mirrors: what is used is what was published, to the last byte."""

import multiprocessing
import os
import resource
import threading
import time
from pathlib import Path

import hostile_server as hostile
import pytest
from published import HASTY, HURRIED, NAME, OTHER, PATIENCE

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.download import cache
from m3amba_zoo.hub.download import fetch as fetch_module


@pytest.fixture
def server(published):
    with hostile.serve(published.files) as server:
        yield server


@pytest.fixture
def slept(monkeypatch):
    """The times that the retries wait, in seconds, without waiting."""
    times = []
    monkeypatch.setattr(fetch_module.time, "sleep", times.append)
    return times


def _start(published, server, said):
    """Fetch the card in a process of its own, which writes what it says, then the folder, to a file."""

    def fetch():
        with open(said, "w", buffering=1) as stream:
            cache.say = lambda message: print(message, file=stream)
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
    assert {path.split("/")[0] for path in published.left()} == {folder.name}
    assert published.fetch(server.url) == folder
    assert len(server.seen) == len(published.models[NAME].files)
    assert not published.marker.exists()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(hostile.altered, "its sha256 begins with", id="wrong hash"),
        pytest.param(hostile.truncated, "has 299900 bytes, expected 300000", id="truncated"),
        pytest.param(
            hostile.truncated_chunks, "has 299900 bytes, expected 300000", id="truncated, no length"
        ),
        pytest.param(hostile.longer, "has 300001 bytes, expected 300000", id="longer"),
        pytest.param(hostile.endless, "has more than 300000 bytes", id="endless"),
        pytest.param(hostile.web_page, "a web page came instead of the file", id="HTML"),
        pytest.param(hostile.zip_bomb, "comes compressed", id="zip bomb"),
        pytest.param(hostile.status(404), "404 Not Found", id="404"),
        pytest.param(hostile.status(403), "403 Forbidden", id="403"),
        pytest.param(hostile.redirects(None), "redirects more than 5 times", id="redirect loop"),
        pytest.param(hostile.redirects("file:///etc/passwd"), "redirects to 'file:", id="redirect to a file"),
        pytest.param(hostile.redirects("http://["), r"redirects to 'http://\['", id="redirect to nowhere"),
    ],
)
def test_what_was_not_published_is_refused_and_nothing_is_left(published, server, answer, says):
    path = published.weights()
    server.answers[path] = answer
    with pytest.raises(InputError, match=says) as caught:
        published.fetch(server.url)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)
    assert published.left() == {}
    assert server.sent.get(path, 0) < 10**7
    asked = len([seen for seen, _ in server.seen if seen == path])
    assert asked == (6 if "more than 5" in says else 1)  # asking again would not mend it


def test_another_model_s_weights_are_refused(published, server):
    server.files[published.weights(NAME)] = published.files[published.weights(OTHER)]
    with pytest.raises(InputError, match="its sha256 begins with"):
        published.fetch(server.url)
    assert published.left() == {}


@pytest.mark.parametrize(
    "answer", [hostile.zip_bomb, hostile.endless, lambda handler, _: hostile.plain(handler, b"exit()")]
)
def test_a_config_that_was_not_published_is_neither_unpacked_nor_executed(published, server, answer):
    server.answers[f"/{NAME}/config.py"] = answer
    with pytest.raises(InputError, match=r"config\.py"):
        published.fetch(server.url)
    assert published.left() == {}
    assert not published.marker.exists()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(hostile.status(500), "500 Internal Server Error", id="500"),
        pytest.param(hostile.silent, "no answer within 1 s", id="stalls at once"),
        pytest.param(hostile.stalls_after(0), "stalled, no byte for 1 s after 0 of", id="stalls"),
    ],
)
def test_a_mirror_in_trouble_is_asked_again_then_given_up(published, server, answer, says):
    server.answers[""] = answer
    with pytest.raises(InputError, match=says):
        published.fetch(server.url, patience=HASTY)
    assert published.left() == {}
    assert len(server.seen) == HASTY.attempts


def test_a_mirror_that_is_not_there_is_given_up(published):
    with pytest.raises(InputError, match="no connection") as caught:
        published.fetch("http://me:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)
    assert published.left() == {}


@pytest.mark.parametrize(
    ("answer", "patience", "says"),
    [
        pytest.param(hostile.breaks_off_after(10_000), PATIENCE, "broke off after", id="breaks off"),
        pytest.param(hostile.stalls_after(10_000), HASTY, "stalled", id="stalls"),
        pytest.param(hostile.trickle, HURRIED, "too slow", id="trickles"),
    ],
)
def test_an_interrupted_file_is_kept_and_any_mirror_goes_on_with_it(
    published, server, answer, patience, says
):
    path = published.weights()
    server.answers[path] = answer
    with pytest.raises(InputError, match=says):
        published.fetch(server.url, patience=patience)
    kept = published.left()[published.partial()]
    assert 0 < kept <= 10_000
    with hostile.serve(published.files) as other:
        folder = published.fetch(other.url)
        assert other.seen == [(path, f"bytes={kept}-")]
        assert other.sent[path] == 300_000 - kept
    assert (folder / path.split("/")[2]).read_bytes() == published.files[path]


def test_the_next_mirror_serves_what_the_first_does_not(published, server, tmp_path):
    published.write(tmp_path / "stick")
    server.answers[published.weights()] = hostile.altered
    assert published.fetch("ftp/not here", server.url, str(tmp_path / "stick"))
    with pytest.raises(InputError, match="expected http://, https://, file:// or a folder"):
        published.fetch("ftp://somewhere", name=OTHER)
    with pytest.raises(InputError, match=r"mirror 'http://\[': is no address"):
        published.fetch("http://[", name=OTHER)


@pytest.mark.parametrize("count", [10_000, 300_000])
@pytest.mark.parametrize("answer", [hostile.plain, hostile.without_range])
def test_bytes_of_a_bad_mirror_do_not_spoil_the_file_of_a_good_one(published, server, answer, count):
    """They are found out once the file is whole, which is then fetched from its beginning.

    What else lies where the card is assembled is swept away.
    """
    partial = published.cache / published.partial()
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(count))
    for name in ("config.py", "stray.py"):
        (partial.parent / name).write_text("exit()")
    path = published.weights()
    server.answers[path] = answer
    folder = published.fetch(server.url)
    assert (folder / path.split("/")[2]).read_bytes() == published.files[path]
    assert (folder / "config.py").read_bytes() == published.files[f"/{NAME}/config.py"]
    assert len(published.left()) == len(published.models[NAME].files)


def test_a_redirected_file_is_resumed_too(published, server):
    path = published.weights()
    server.files["/elsewhere"] = published.files[path]
    server.answers[path] = hostile.in_turn(hostile.breaks_off_after(10_000), hostile.redirects("/elsewhere"))
    folder = published.fetch(server.url)
    assert server.seen[-1] == ("/elsewhere", "bytes=10000-")
    assert (folder / path.split("/")[2]).read_bytes() == published.files[path]


def test_an_answer_to_another_range_is_refused(published, server):
    path = published.weights()
    server.answers[path] = hostile.in_turn(hostile.breaks_off_after(10_000), hostile.other_range)
    with pytest.raises(InputError, match="Content-Range is 'bytes 0-299999/300000', expected 'bytes 10000-"):
        published.fetch(server.url)
    assert published.left() == {}


def test_retries_back_off_and_wait_as_long_as_they_are_asked_to(published, server, slept):
    path = published.weights()
    server.answers[path] = hostile.in_turn(
        hostile.status(503), hostile.status(429, Retry_After=2), hostile.plain
    )
    published.fetch(server.url)
    assert 0.005 <= slept[0] <= 0.01
    assert slept[1:] == [2]
    server.answers[""] = hostile.status(503, Retry_After="\u00b2")  # a digit to Python, but no number
    with pytest.raises(InputError, match=r"503 Service Unavailable$"):
        published.fetch(server.url, name=OTHER)
    del slept[2:]
    server.answers[""] = hostile.status(503, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT")
    with pytest.raises(InputError, match=r"503 Service Unavailable, asks to wait \d{9,} s"):
        published.fetch(server.url, name=OTHER)
    assert len(slept) == 2


def test_a_full_disk_is_reported_and_not_filled_further(published, server):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            InputError, match=r"cannot be written \(File too large; the card has 300.[0-9] kB\)"
        ):
            published.fetch(server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert published.left() == {}
    assert published.fetch(server.url)


def test_a_cache_that_cannot_be_written_is_reported_before_anything_is_asked(published, server):
    published.cache.write_text("a file where the folder should be")  # holds for root too
    with pytest.raises(
        InputError, match=r"the cache cannot be written .*M3AMBA_CACHE can name another folder"
    ):
        published.fetch(server.url)
    assert server.seen == []


def test_a_cache_without_permission_is_reported_but_read(published, server):
    folder = published.fetch(server.url)
    published.cache.chmod(0o500)
    if os.access(published.cache, os.W_OK):
        pytest.skip("this user may write anywhere")
    try:
        assert published.fetch() == folder
        with pytest.raises(InputError, match=r"cannot be written \(Permission denied"):
            published.fetch(server.url, name=OTHER)
    finally:
        published.cache.chmod(0o700)


def test_a_card_that_is_in_the_cache_needs_no_writing(published, server):
    folder = published.fetch(server.url)
    before = sorted(published.cache.iterdir())
    assert published.fetch() == folder
    assert sorted(published.cache.iterdir()) == before


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
    assert sorted(path for path, _ in server.seen) == sorted(own)


def test_a_download_that_was_killed_goes_on_where_it_was(published, server, tmp_path):
    path = published.weights()
    server.answers[path] = hostile.in_turn(hostile.stalls_after(200_000), hostile.plain)
    partial = published.cache / published.partial()
    process = _start(published, server, tmp_path / "said")
    try:
        # the server must be done with sending, which is counted below
        _wait_until(lambda: server.sent.get(path) == 200_000)
        _wait_until(lambda: partial.exists() and partial.stat().st_size > 100_000)
    finally:
        process.kill()
        process.join()
    kept = partial.stat().st_size
    server.sent.clear()
    folder = published.fetch(server.url)
    assert (path, f"bytes={kept}-") == server.seen[-1]
    assert server.sent == {path: 300_000 - kept}
    assert {Path(left).parts[0] for left in published.left()} == {folder.name}
