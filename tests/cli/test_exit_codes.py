"""What the commands' entry makes of lack of memory and of terminals with few characters."""

import errno
import multiprocessing
import os
import subprocess
import sys
from types import ModuleType

import pytest

from m3amba_zoo.cli import main as command
from m3amba_zoo.memory import memory_fault

TOY = """
import sys, types
toy = types.ModuleType("toy")
toy.main = lambda: print("0.5 \\xb1 0.1")
sys.modules["toy"] = toy
from m3amba_zoo.cli.main import run
run("toy")
"""
WORKER = """Caught RuntimeError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "storage.py", line 423, in _new_shared
RuntimeError: unable to allocate shared memory(shm) for file </torch_1_2_0>: No space left on device (28)
"""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 8.00 GiB for an array"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "run"),
    ],
)
def test_lack_of_memory_is_one_sentence(error, monkeypatch, capsys):
    def fail():
        raise error

    toy = ModuleType("toy")
    toy.main = fail
    monkeypatch.setitem(sys.modules, "toy", toy)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    assert command._exit_code("toy") == command.USAGE_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: not enough memory (")
    assert "are free, as" in line


def test_other_errors_are_not_lack_of_memory():
    assert memory_fault(RuntimeError("shapes differ")) == ""
    assert memory_fault(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "work_dirs/log")) == ""
    with pytest.raises(OSError, match="No space left") as caught:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # a log's, which has no file name
    assert memory_fault(caught.value) == ""


def test_lack_of_shared_memory_names_it(monkeypatch):
    said = memory_fault(RuntimeError(WORKER))
    assert said.startswith("not enough shared memory for data workers (RuntimeError: unable to allocate")
    assert "num_workers=0" in said

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full = type(full)(full.__code__, {**full.__globals__, "__name__": "multiprocessing.synchronize"})
    monkeypatch.setattr("multiprocessing.synchronize.Semaphore", full)
    with pytest.raises(OSError, match="No space left") as caught:
        multiprocessing.get_context().Semaphore()
    assert "not enough shared memory" in memory_fault(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not keep to the limit")
def test_a_process_with_little_memory_says_so():
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20,) * 2)\n"
    command_line = "import sys; sys.argv[1:] = ['encoder', 'nosuch']\n"
    code = f"{limited}{command_line}from m3amba_zoo.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == command.USAGE_ERROR
    assert "error: not enough memory (" in done.stderr
    assert "as ulimit -v has it" in done.stderr
    assert "Traceback" not in done.stderr


def test_characters_that_a_terminal_lacks_are_escaped():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", TOY], capture_output=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, b"0.5 \\xb1 0.1")


@pytest.mark.parametrize("words", [["configs"], ["configs", "--json"], ["configs", "--help"], ["--version"]])
def test_output_that_nobody_reads_is_told_by_the_exit_code(words):
    reader, writer = os.pipe()
    os.close(reader)
    command_line = [sys.executable, "-m", "m3amba_zoo", *words]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command_line, stdout=writer, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(writer)
    assert (done.returncode, done.stderr) == (command.BROKEN_PIPE, "")
