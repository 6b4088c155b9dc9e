"""Sizes are compared with what is free, of the machine and of what a container or cluster allows."""

import json

import numpy as np
import pytest

from m3amba_zoo import memory
from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import FreeMemory, free_memory, require_memory
from m3amba_zoo.reading import LARGEST_JSON, read_arrays, read_bytes, read_json


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/job/step\n", {"memory.max": 3000, "memory.current": 1000, "memory.stat": "inactive_file 500"}),
        (
            "4:cpu:/\n5:memory:/job/step\n",
            {
                "memory.limit_in_bytes": 3000,
                "memory.usage_in_bytes": 1000,
                "memory.stat": "cache 1\ntotal_inactive_file 500",
            },
        ),
    ],
)
def test_a_control_group_above_limits_what_is_free(tmp_path, monkeypatch, own, files):
    group = tmp_path / ("memory" if "memory:" in own else "") / "job"
    (group / "step").mkdir(parents=True)
    for name, content in files.items():
        (group / name).write_text(str(content))
    (group / "step" / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    assert free_memory() == (2500, "the container or job (cgroup)")
    (group / next(iter(files))).write_text("max\n")
    assert free_memory().limit == "the machine"


def test_a_refusal_has_both_numbers(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: FreeMemory(5 * 10**9, "the machine"))
    require_memory("a.tif", 4 * 10**9, "its pixels")
    with pytest.raises(InputError, match=r"^a\.tif: its pixels would take 40\.0 GB .* but 5\.0 GB are free$"):
        require_memory("a.tif", 40 * 10**9, "its pixels")


def test_archives_and_records_are_measured_before_they_unfold(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10**6, np.uint8), b=np.zeros(10**6, np.uint8))
    (tmp_path / "a.json").write_text(json.dumps(" " * LARGEST_JSON))
    with pytest.raises(InputError, match=r"a\.json: 16,777,218 bytes of JSON, at most 16,777,216"):
        read_json(tmp_path / "a.json")
    assert len(read_arrays(tmp_path / "a.npz", "no archive")) == 2
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: FreeMemory(1_500_000, "the machine"))
    with pytest.raises(
        InputError, match=r"a\.npz: what it unfolds to would take 2\.0 MB .* 1\.5 MB are free"
    ):
        read_arrays(tmp_path / "a.npz", "no archive")
    with pytest.raises(InputError, match=r"a\.json: its content would take 16\.8 MB"):
        read_bytes(tmp_path / "a.json")
