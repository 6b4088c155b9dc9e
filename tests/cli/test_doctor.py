"""``m3amba doctor``: what it finds, in lines and as JSON, and what keeps a training from starting."""

import json
import socket
import time
from email.message import Message

import pytest

from m3amba_zoo.cli import doctor
from m3amba_zoo.cli.doctor import WIDTH, findings, main


@pytest.fixture
def data(tmp_path, monkeypatch):
    (tmp_path / "data" / "idtrees").mkdir(parents=True)
    (tmp_path / "data" / "idtrees" / "file").touch()
    (tmp_path / "data" / "muufl").mkdir()  # empty
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("M3AMBA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("M3AMBA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    monkeypatch.delenv("M3AMBA_WEIGHTS", raising=False)
    monkeypatch.setattr(doctor, "ENOUGH_MEMORY", 0)  # of the machine that runs the tests
    return tmp_path / "data"


def test_lines_and_json_say_the_same(data, capsys):
    (data.parent / "cache" / "features").mkdir(parents=True)
    (data.parent / "cache" / "features" / "one.npy").write_bytes(bytes(3 * 2**20))
    assert main([]) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    said = {line[:WIDTH].strip(): line[WIDTH:].strip() for line in lines}
    assert verdict == "a training can start"
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["can_train"] is True
    assert found["findings"].keys() == said.keys()
    volatile = ("memory", "shared memory", "work dir", "cache")
    assert all(one["says"] == said[name] for name, one in found["findings"].items() if name not in volatile)
    assert found["findings"]["$M3AMBA_DATA"]["found"] == ["idtrees"]
    assert "muufl" in found["findings"]["$M3AMBA_DATA"]["absent"]
    assert found["findings"]["cache"]["bytes"] == 3 * 2**20
    assert found["findings"]["scan reference"]["available"] is True
    assert "3.1 MB of it features" in said["cache"]
    assert said["network"] == "forbidden by $M3AMBA_OFFLINE"
    assert "GDAL" in said["rasterio"]


def test_what_keeps_a_training_from_starting_is_named(data, monkeypatch, capsys):
    monkeypatch.setenv("M3AMBA_DATA", str(data / "absent"))
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(data / "absent"))
    monkeypatch.setenv("M3AMBA_SCAN_BACKEND", "gpu")
    monkeypatch.setattr(doctor, "ENOUGH_DISK", 2**70)
    assert main(["--work-dir", "new/runs"]) == 1
    said = capsys.readouterr().out
    assert "a training cannot start: see scan of a CPU, $M3AMBA_DATA, $M3AMBA_WEIGHTS, work dir" in said
    assert f"$M3AMBA_DATA        FAULT: {data / 'absent'}: no such folder" in said
    assert "no scan backend is called 'gpu'" in said


def test_packages_that_are_absent_too_old_or_damaged(data, monkeypatch):
    needed = ["numpy>=99", "no-such-package>=1.5", "rasterio", "psutil", 'torch>=99; extra == "export"']
    monkeypatch.setattr(doctor, "requires", lambda name: needed)
    monkeypatch.setattr(doctor, "version", lambda name: _versions()[name])
    monkeypatch.setattr(doctor, "import_module", _damaged)
    monkeypatch.setattr(doctor, "metadata", lambda name: _extras("export", "test"))
    found = {one.name: one for one in findings(data)}
    faults = [name for name, one in found.items() if one.fault]
    assert faults == ["numpy", "no-such-package", "rasterio", "imports"]
    assert found["numpy"].says == "2.1, but >=99 is needed"
    assert found["no-such-package"].says == "not installed, >=1.5 is needed"
    assert "cannot be imported (OSError: libgdal is cut short)" in found["rasterio"].says
    assert found["other packages"].facts == {"psutil": "7.0"}
    assert "torch is 2.6, but >=99 is needed" in found["extra export"].says


def _versions():
    known = {"m3amba_zoo": "0.1", "numpy": "2.1", "rasterio": "1.4", "psutil": "7.0", "torch": "2.6"}

    class Versions(dict):
        def __missing__(self, name):
            raise doctor.PackageNotFoundError(name)

    return Versions(known)


def _extras(*names):
    message = Message()
    for name in names:
        message["Provides-Extra"] = name
    return message


def _damaged(name):
    raise OSError("libgdal is cut short")


def test_a_network_without_an_answer_is_not_waited_for(monkeypatch):
    monkeypatch.delenv("M3AMBA_OFFLINE", raising=False)
    monkeypatch.setattr(doctor, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        began = time.monotonic()
        found = doctor._network()
    assert found.facts == {"reached": False}
    assert time.monotonic() - began < 5
