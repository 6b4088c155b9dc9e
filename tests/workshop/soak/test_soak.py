"""The soak's comparison, and that its trainings take the signals that it sends."""

import signal
import subprocess
import sys

import pytest
import torch

from workshop.soak.trainings import Soak, Tally, _not_ignored

RUN = {"epoch_2.pth": 2.0, "metrics.json": None, "20260101_000000/log.txt": None, ".lock": None}


@pytest.fixture
def soak(tmp_path, monkeypatch):
    """A soak whose trainings write the files that they are told to."""
    soak = Soak.__new__(Soak)
    soak.folder, soak.train = tmp_path, ["config"]
    monkeypatch.setattr(soak, "_run", lambda command, name: subprocess.CompletedProcess(command, 0, "", ""))
    _write(tmp_path / "whole", RUN)
    return soak


def _write(folder, files):
    for name, value in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if value is None:
            (folder / name).touch()
        else:
            torch.save({"state_dict": {"weight": torch.tensor(value)}}, folder / name)
            (folder / "last_checkpoint").write_text(name)


def wrong(soak, changed):
    run = {name: value for name, value in {**RUN, **changed}.items() if value is not False}
    _write(soak.folder / "killed1", run)
    tally = Tally("killed")
    soak._finish(tally, "killed1")
    return tally.wrong


def test_logs_and_locks_may_differ(soak):
    assert (
        wrong(soak, {"20260101_000000/log.txt": False, "20260202_010101/log.txt": None, ".lock": False}) == []
    )


def test_other_weights_are_wrong(soak):
    assert wrong(soak, {"epoch_2.pth": 2.0000002}) == ["other weights than undisturbed"]


def test_files_left_or_lost_are_wrong(soak):
    assert wrong(soak, {"epoch_1.pth.9.part": None, "metrics.json": False}) == [
        "other files than undisturbed: epoch_1.pth.9.part, metrics.json"
    ]


def test_an_unreadable_checkpoint_is_wrong(soak):
    _write(soak.folder / "killed1", RUN)
    (soak.folder / "killed1" / "epoch_2.pth").write_bytes(b"PK\x03\x04 cut short")
    (said,) = soak._unreadable("killed1")
    assert "epoch_2.pth" in said


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on Windows")
def test_trainings_take_a_signal_that_the_soak_ignores():
    asks = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with _not_ignored(signal.SIGHUP):
            assert subprocess.check_output([sys.executable, "-S", "-c", asks], text=True).strip() == "False"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
