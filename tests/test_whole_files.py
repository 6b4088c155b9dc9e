"""Files and folders that appear whole, whenever the process that writes them is killed; and locks."""

import os
import re
import subprocess
import sys

import pytest
from killed import files_in, killed_at

from m3amba_zoo import system
from m3amba_zoo.locks import BusyError, NamedLock, is_busy, work_dir_lock
from m3amba_zoo.system import sweep, whole_file, whole_folder


def write(folder, text, replace):
    with whole_folder(folder, replace) as aside:
        (aside / "a").write_text(text)
        (aside / "b").write_text(text)


@pytest.mark.parametrize("in_one_step", [True, False], ids=["exchange", "two renames"])
def test_a_folder_is_whole_after_every_kill_and_leaves_nothing(tmp_path, monkeypatch, in_one_step):
    if not in_one_step:  # as on other systems
        monkeypatch.setattr(system, "_exchanged", lambda *_: False)
    target = tmp_path / "card"
    write(target, "old", False)
    change, seen = 0, set()
    while True:
        change += 1
        if not killed_at(change, tmp_path, lambda: write(target, "new", True)):
            break
        if in_one_step:
            seen.add((target / "a").read_text())
            assert (target / "a").read_text() == (target / "b").read_text()
        write(tmp_path / "card", "old", True)  # the next one finds the card, or puts it back
        assert files_in(tmp_path) == ["card", "card/a", "card/b"]
    assert change > 6
    assert seen == ({"old", "new"} if in_one_step else set())


def test_what_a_killed_process_moved_aside_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "_exchanged", lambda *_: False)
    target = tmp_path / "card"
    write(target, "old", False)
    change = 1
    while killed_at(change, tmp_path, lambda: write(target, "new", True)) and target.exists():
        change += 1
    assert not target.exists()  # killed between the two renames
    with pytest.raises(ZeroDivisionError), whole_folder(target, True):
        raise ZeroDivisionError
    assert (target / "a").read_text() == "old"
    assert files_in(tmp_path) == ["card", "card/a", "card/b"]


def test_parts_of_living_processes_and_of_other_machines_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "below").mkdir()
    kept = [
        f"f.{system.HOST}-{os.getppid()}.part",
        f"f.elsewhere-{dead.pid}.part",
        "movie.part",
        "f.part1.rar",
    ]
    swept = [f"f.{system.HOST}-{dead.pid}.part", f"best.pth.{dead.pid}.part"]
    for name in (*kept, *swept):
        (tmp_path / name).touch()
    recycled = tmp_path / f"below/f.{os.getpid()}.part"  # written before the process of this number began
    recycled.touch()
    os.utime(recycled, (0, 0))
    with whole_file(tmp_path / "f") as aside:
        aside.touch()
    assert f"best.pth.{dead.pid}.part" in files_in(tmp_path)
    sweep(tmp_path)
    assert files_in(tmp_path) == sorted([*kept, "f", "below"])


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    with work_dir_lock(tmp_path / "new/run"):
        said = (
            rf"run: is in use by process {os.getpid()} on \w+ since .*; wait for it, stop it, or give another"
        )
        with pytest.raises(BusyError, match=said), work_dir_lock(tmp_path / "new/run"):
            pass
        assert is_busy(tmp_path / "new/run")
    assert not is_busy(tmp_path / "new/run")
    assert files_in(tmp_path) == []  # empty folders that it made are gone, too

    def hold_and_die():
        with NamedLock(tmp_path / "lock", "it"):
            (tmp_path / "held").touch()
            (tmp_path / "last").touch()

    assert killed_at(4, tmp_path, hold_and_die)  # the lock, its holder aside and in place, "held"
    assert re.search(r"'?lock", " ".join(files_in(tmp_path)))
    with NamedLock(tmp_path / "lock", "it"):
        pass
    assert [name for name in files_in(tmp_path) if name != "held"] == []
