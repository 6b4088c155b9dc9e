"""Every section of the benchmark at a small size: what it measures is right, and what it cannot says why."""

import json
import sys
import types
from functools import partial

import pytest
import torch

from m3amba_zoo.config.shipped import SHIPPED
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.ss2d import CrossSS2D
from m3amba_zoo.ops import reference
from workshop.benchmarks import (
    authors_order,
    batch_size,
    encoder,
    endurance,
    export,
    fresh_process,
    gpu,
    maps,
    memory,
    network,
    rival_scans,
    scan,
    scene,
    tile,
    train,
)
from workshop.cli import benchmark

pytestmark = pytest.mark.slow


def test_scan_versions_agree_with_float64():
    section = scan.measure(channels=32, length=24, state=4, groups=2, batches=(1, 2))
    rows = {(row["batch"], row["pass"], row["version"]): row for row in section.rows}
    assert len(rows) == 2 * 2 * 4
    for (batch, name, version), row in rows.items():
        if batch == 1 and "not_measured" not in row:
            assert row["error"] < (1e-5 if name == scan.FORWARD else 1e-4), version
    ours, lean = (rows[1, scan.FORWARD, version] for version in (scan.OURS, scan.LEAN))
    assert lean["times_ours"] == pytest.approx(lean["seconds"] / ours["seconds"])
    assert ours["share_of_limit"] > 0


def test_lean_scan_is_the_reference_in_groups():
    inputs = [x.double() for x in scan.scan_inputs(2, 6, 9, 3, 3)]
    expected = reference.selective_scan(*inputs, softplus=True)
    torch.testing.assert_close(rival_scans.lean_scan(*inputs), expected)


def test_a_version_too_large_for_the_memory_says_so(monkeypatch):
    monkeypatch.setattr(scan, "free_memory", lambda: (2**10, "the test"))
    section = scan.measure(channels=32, length=24, state=4, groups=2, batches=(1,))
    for row in section.rows:
        assert ("seconds" in row) == (row["version"] == scan.OURS)
        assert row["version"] == scan.OURS or row["not_measured"]


def test_network_in_the_authors_order_gives_the_same():
    section = network.measure(embed_dim=16, depth=2, state=4, window=6, hsi=5, gemm_side=32)
    ours, *authors = section.rows
    assert len(authors) == 2
    assert all(row["largest_difference"] < 1e-4 for row in authors)
    assert ours["share_of_matmul_limit"] > 0
    # per layer and modality of one block, doubled: in_proj, its z half, projections, out_proj and the MLP
    assert section.limits["multiply_adds_of_linear_layers"] > 2 * 3 * 36 * (16 * 64 + 32 * 16 + 2 * 16 * 64)


def test_copies_give_what_reading_in_place_gives():
    torch.manual_seed(0)
    layer = CrossSS2D(8, 4)
    u = torch.randn(2, 3, 5, 16)
    dt, B, C = layer.own.project(u)
    own = layer.own
    inputs = [u, dt, own.dt_weight, own.dt_bias, own.A, B, C, own.D]
    copying = partial(authors_order.copying_scan_2d, scan=authors_order.step_by_step)
    dy = scan.output_gradient(inputs[0])
    expected = scan.output_and_gradients(reference.selective_scan_2d, inputs, dy)
    torch.testing.assert_close(scan.output_and_gradients(copying, inputs, dy), expected)


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(fresh_process, "call", lambda function, limit=None, **given: function(**given))


def test_memory_of_each_version(in_this_process):
    section = memory.measure(embed_dim=8, state=4, side=6, batch=2)
    assert [row["version"] for row in section.rows] == [memory.IN_PLACE, memory.COPIES, memory.AUTHORS]
    assert all({"inference_peak_mib", "training_peak_mib"} <= set(row) for row in section.rows)


def test_copies_take_more_memory():
    shape = {"embed_dim": 32, "state": 8, "side": 64, "batch": 2, "training": False}
    ours, copying = (
        fresh_process.call(memory.forward_peak, version=version, **shape)["inference_peak_mib"]
        for version in (memory.IN_PLACE, memory.COPIES)
    )
    assert 0 < ours < copying


def test_training_step_by_precision_and_way(in_this_process):
    section = train.measure({"t": 1}, window=4, ways=(train.PLAIN, train.CHECKPOINTING), runs=1)
    found = [(row["precision"], row["way"]) for row in section.rows]
    ways = (train.PLAIN, train.CHECKPOINTING)
    precisions = train.PRECISIONS["cuda" if torch.cuda.is_available() else "cpu"]
    names = [precision if precision == "float32" else f"{precision} AMP" for precision in precisions]
    assert found == [(precision, way) for precision in names for way in ways]
    assert all(row["windows_per_s"] > 0 and row["first_step_s"] > 0 for row in section.rows)


def test_training_step_by_batch(in_this_process):
    section = batch_size.measure("s", batches=(1, 4), window=8)  # s has an encoder
    assert [(row["way"], row["batch"]) for row in section.rows] == [
        (way, size) for way in (train.PLAIN, train.CHECKPOINTING) for size in (1, 4)
    ]
    plain, checkpointing = section.rows[1], section.rows[3]
    assert 0 < checkpointing["peak_mib"] < plain["peak_mib"]


def test_an_encoder_by_the_adapters_options(in_this_process):
    tower = str(SHIPPED / "_base_/models/small_image_tower.json")
    options = [{"image_size": 64}, {"image_size": 32, "prior": "spatial", "precision": "bfloat16"}]
    section = encoder.measure(tower, options, batch=2, window=8, runs=1)
    assert [(row["prior"], row["precision"]) for row in section.rows] == [
        ("global", "float32"),
        ("spatial", "bfloat16"),
    ]
    assert all(row["forward_windows_per_s"] > 0 and row["training_windows_per_s"] > 0 for row in section.rows)


def test_scene_of_three_heights(in_this_process):
    section = scene.measure((32, 24), {"t": 32}, window=8, batches=(1, 4))
    assert [row["rows"] for row in section.rows] == [32, 32, 8, 16, 16, 16]
    assert [row["windows"] for row in section.rows] == [4 * 3, 7 * 5, 1 * 5, 3 * 5, 2 * 3, 2 * 3]
    assert [row["batch"] for row in section.rows][-2:] == [1, 4]
    for row in section.rows:
        windows = 4 * 3 if row["overlap"] == "0%" else 7 * 5
        expected = 32 * 24 / (row["seconds"] / row["windows"] * windows)
        assert row["pixels_per_s"] == pytest.approx(expected)
        assert 0 < row["network_share"] <= 1
    assert {"slope_of_log_seconds_in_log_pixels", "peak_growth_mib"} <= section.limits.keys()


def test_maps_of_three_sizes(in_this_process):
    section = maps.measure((16, 24, 40), ("fast", "best"), dask=())
    assert [(row["side"], row["speed"]) for row in section.rows] == [
        (16, "fast"),
        (24, "fast"),
        (40, "fast"),
        (16, "best"),
    ]
    for row in section.rows:
        assert row["pixels_per_s"] == pytest.approx(row["side"] ** 2 / row["seconds"])
        assert row["process_peak_mib"] > 100
    assert "slope_of_log_seconds_in_log_pixels" in section.limits
    assert [row["side"] for row in tile.measure(32).rows] == [32]


def test_long_runs_have_slopes(in_this_process):
    section = endurance.measure(steps=6, predictions=4)
    assert [row["run"] for row in section.rows] == ["training steps", "predictions"]
    assert all(row["handles"] > 0 and row["resident_mib"] > 100 for row in section.rows)


def test_slopes_leave_the_warm_up_out():
    samples = [endurance.Sample(step, 2**30 + 2048 * step, 20 + step // 10) for step in range(10, 110, 10)]
    samples[0] = endurance.Sample(10, 2**20, 500)
    found = endurance.slopes(samples)
    assert found["growth_kib_per_step"] == pytest.approx(2)
    assert found["growth_handles_per_1000_steps"] == pytest.approx(100)
    assert (found["handles"], found["resident_mib"]) == (30, pytest.approx(1024, abs=1))


def test_exported_models_agree_with_this_package():
    section = export.measure(("mft_terramind",), batches=(1, 2), runs=1)
    assert [row["batch"] for row in section.rows] == [1, 1, 1, 2, 2, 2]
    assert all(row["windows_per_cpu_s"] > 0 and row["largest_difference"] < 1e-4 for row in section.rows)


def test_a_process_that_fails_is_a_row_with_the_reason():
    section = train.measure({"no_such_size": 1}, window=4, ways=(train.PLAIN,))
    assert "InputError: " in section.rows[0]["not_measured"]
    assert "no such config" in section.rows[0]["not_measured"]
    with pytest.raises(fresh_process.ProcessFailedError, match="longer than 0 s"):
        fresh_process.call(gpu.measure, 0.01)


GPU_ROWS = 2 * 2 * 4 + 2  # dtypes, passes, versions; memory


def test_without_a_gpu_each_row_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    section = gpu.measure()
    assert len(section.rows) == 2 * GPU_ROWS
    assert {row["not_measured"] for row in section.rows} == {"no CUDA device"}


def test_gpu_rows_measured_on_the_cpu(monkeypatch):
    """Versions that run on the CPU are measured and right; the others say why not."""
    monkeypatch.setattr(rival_scans, "COMPILER", "eager")
    section = gpu.measure(channels=6, state=3, rank=2, sides=(5,), batch=2, device="cpu", copy_bytes=2**16)
    assert len(section.rows) == GPU_ROWS
    for row in section.rows:
        if row["version"] in (gpu.COMPILED, gpu.REFERENCE):
            assert row["error"] < (1e-5 if row["inputs"] == "float32" else 2e-2)
            assert row["share_of_bandwidth"] > 0
        else:
            assert row["not_measured"]


class FakeSelectiveScanFn:
    """mamba-ssm's autograd function, computed by the reference."""

    @staticmethod
    def apply(u, delta, A, B, C, D, z, delta_bias, delta_softplus):
        assert z is None
        assert u.dtype == delta.dtype == B.dtype == C.dtype
        return reference.selective_scan(u, delta, A, B, C, D, delta_bias, softplus=delta_softplus)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mamba_ssm_is_called_as_its_function_asks(monkeypatch, dtype):
    module = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.SelectiveScanFn = FakeSelectiveScanFn
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for package in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    inputs = gpu.map_inputs(2, 3, 6, 4, 2, dtype, "cpu")
    found = gpu.versions()[gpu.MAMBA_SSM][0](*inputs)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert scan.relative_error(found, reference.selective_scan_2d(*inputs)) < tolerance


def test_bytes_that_must_move():
    inputs = gpu.map_inputs(2, 3, 5, 4, 2, torch.bfloat16, "cpu")
    small = 2 * 9 * 4 * (2 + 4 + 4) * 2
    u = 2 * 9 * 5 * 2
    assert gpu.moved_bytes(inputs) == (small + 2 * u, 3 * small + 5 * u)


def test_command_writes_machine_and_sections(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    file = tmp_path / "found.json"
    assert benchmark.main(["--sections", "gpu", "--json", str(file)]) == 0
    found = json.loads(file.read_text())
    assert found["machine"]["threads"] == torch.get_num_threads()
    assert found["sections"] == {"gpu": gpu.measure().to_dict()}
    assert "not measured" in " ".join(capsys.readouterr().out.split())


def test_command_refuses_a_missing_folder_before_it_measures(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        benchmark.main(["--json", str(tmp_path / "missing" / "found.json")])
