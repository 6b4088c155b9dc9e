"""Windows at once: chosen from the free memory, halved when a GPU has less, and of no effect on the map."""

import numpy as np
import pytest
import torch
from test_predictor import write_work_dir

from m3amba_zoo.errors import InputError
from m3amba_zoo.inference import Predictor, batches
from m3amba_zoo.inference.batches import Batches, TensorMemory
from m3amba_zoo.system import memory as free_memory

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "work"
    write_work_dir(folder)
    return Predictor(folder, device="cpu")


@pytest.fixture(scope="module")
def rasters():
    generator = np.random.default_rng(0)
    return {
        m: generator.normal(1500, 900, (c, 30, 30)).astype(np.float32) for m, c in (("hsi", 6), ("sar", 2))
    }


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_map_does_not_depend_on_the_batch(size, predictor, rasters):
    chosen = predictor.predict(rasters, probabilities=True)
    assert predictor.batch_size == batches.LARGEST["cpu"]
    given = predictor.predict(rasters, batch_size=size, probabilities=True)
    assert predictor.batch_size == size
    np.testing.assert_array_equal(given.class_map, chosen.class_map)
    np.testing.assert_allclose(given.probabilities, chosen.probabilities, atol=1e-3)  # they are float16


@pytest.mark.parametrize("size", [0, -1])
def test_no_window_at_once_is_refused(size, predictor, rasters):
    with pytest.raises(InputError, match=f"batch_size is {size}"):
        predictor.predict(rasters, batch_size=size)


def test_the_batch_follows_the_free_memory(predictor, rasters, monkeypatch):
    sizes = []
    for free in (1, 2**20, 2**21, None, 2**40):
        monkeypatch.setattr(batches, "available_bytes", lambda device, free=free: free)
        predictor.predict(rasters)
        sizes.append(predictor.batch_size)
    assert sizes[0] == 1
    assert sizes[2] in (2 * sizes[1], 2 * sizes[1] + 1)
    assert sizes[-2:] == [batches.LARGEST["cpu"]] * 2


def test_tensor_memory_is_the_largest_sum_of_living_tensors():
    ones = torch.ones(1000)
    with TensorMemory() as memory:
        kept = ones + 1
        for _ in range(3):
            view = (kept.view(10, 100) * 2).sum(1)
        assert memory.now == 4000 + 40
        del view
        kept.add_(1)
        assert memory.now == 4000
    assert memory.peak == 4000 + 4000 + 2 * 40  # the last sum is there until the next takes its name


@pytest.mark.parametrize("size", [None, 8])
def test_a_gpu_without_memory_gets_half_the_windows(size, monkeypatch):
    monkeypatch.setattr(batches, "available_bytes", lambda device: 2**40)
    tried = []

    def forward(windows):
        tried.append(len(windows))
        if len(windows) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return [10 * window for window in windows]

    runner = Batches(forward, lambda window: 1, CPU, size)
    found = [pair for batch in runner.run(iter(range(20))) for pair in batch]
    assert found == [(window, 10 * window) for window in range(20)]
    assert runner.size == 2
    assert sum(count > 3 for count in tried) <= 3  # what failed once is not tried again


def test_one_window_that_does_not_fit_is_an_error():
    def forward(windows):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        list(Batches(forward, lambda window: 1, CPU, 4).run(iter(range(4))))


def test_no_windows_give_nothing():
    assert not list(Batches(list, lambda window: 1, CPU, None).run(iter(())))


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_as_available_memory(version, tmp_path, monkeypatch):
    names = free_memory.VERSION_1 if version == 1 else free_memory.VERSION_2
    root = tmp_path / "cgroup" / "memory" if version == 1 else tmp_path / "cgroup"
    for folder, limit in (("pod", "3000000"), ("pod/container", "max" if version == 2 else str(2**63 - 1))):
        (root / folder).mkdir(parents=True)
        contents = (limit, "1000000", f"active_file 5\n{names[2]} 200000\n")
        for name, content in zip((*names[:2], "memory.stat"), contents, strict=True):
            (root / folder / name).write_text(content)
    groups = tmp_path / "groups"
    groups.write_text("5:cpu:/x\n4:memory:/pod/container\n" if version == 1 else "0::/pod/container\n")
    monkeypatch.setattr(free_memory, "CONTROL_GROUPS", groups)
    monkeypatch.setattr(free_memory, "CONTROL_GROUP_FILES", tmp_path / "cgroup")
    monkeypatch.setattr(free_memory, "MEMORY_INFO", tmp_path / "meminfo")
    assert free_memory.available_bytes() is None  # no such system
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert free_memory.available_bytes() == 3_000_000 - 800_000
    (root / "pod" / names[0]).write_text("9000000000")
    assert free_memory.available_bytes() == 8000 * 1024
