"""The fuzzer itself, and some inputs of each reader."""

import faulthandler
import os
import signal
import sys

import pytest

from m3amba_zoo.errors import InputError
from workshop.cli import fuzz as command
from workshop.fuzzing.mutations import Reader
from workshop.fuzzing.readers import READERS
from workshop.fuzzing.trials import CRASH, HANG, MEMORY, NAMELESS, READ, REFUSED, TRACEBACK, Limits, fuzz

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits need Linux")
INPUTS = 8
VALID = b"valid"


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    (tmp_path / "inputs").mkdir()
    result = fuzz(READERS[name], INPUTS, 0, tmp_path / "inputs", tmp_path / "kept", Limits())
    assert result.faults == 0, result.details
    assert sum(result.outcomes.values()) == INPUTS


def refuse(path):
    raise InputError(f"{path}: damaged")


def refuse_without_a_name(path):
    raise InputError("damaged")


def crash(path):
    faulthandler.disable()  # pytest's, whose report would look like a fault of the tests
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(path):
    while True:
        pass


def fill_memory(path):
    return bytearray(2**36)


def divide(path):
    return 1 / 0


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda path: path.read_bytes(), READ),
        (refuse, REFUSED),
        (refuse_without_a_name, NAMELESS),
        (crash, CRASH),
        (hang, HANG),
        (fill_memory, MEMORY),
        (divide, TRACEBACK),
    ],
)
def test_how_a_reading_ended_is_told(read, outcome, tmp_path):
    def make(folder):
        (folder / "file").write_bytes(VALID)
        return folder / "file"

    reader = Reader(
        "toy",
        make,
        lambda path: None if path.read_bytes() == VALID else read(path),
        (lambda random, content: random.randbytes(4),),
    )
    (tmp_path / "inputs").mkdir()
    result = fuzz(reader, 3, 0, tmp_path / "inputs", tmp_path / "kept", Limits(seconds=0.2))
    assert result.outcomes == {outcome: 3}
    assert len(result.kept) == (0 if outcome in (READ, REFUSED) else 3)
    assert all(path.read_bytes() == reader.mutated(VALID, 0, k) for k, path in enumerate(result.kept))


def test_the_command_says_what_it_found(tmp_path, capsys):
    assert command.main(["--reader", "index", "--inputs", "20", "--keep", str(tmp_path)]) == 0
    assert "index" in capsys.readouterr().out
    with pytest.raises(InputError, match="--reader indx: no such reader; did you mean 'index'"):
        command.main(["--reader", "indx"])
