"""The choice of a backend, and the CPU backend's threads, forks and cpu_numba."""

import importlib
import logging
import re
import sys
import types

import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops import backend as choice
from m3amba_zoo.ops import (
    backends,
    cpu,
    gpu,
    selective_scan,
    selective_scan_2d,
    set_default_backend,
)
from m3amba_zoo.ops.reference import ReferenceBackend

pytest.importorskip("numba")
cpu_numba = importlib.import_module("m3amba_zoo.ops.cpu_numba")


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def map_inputs(batch=1, size=6, d=70, dtype=torch.float32):
    n, r, place = 5, 3, (batch, size, size)
    tensors = (
        normal(*place, d), normal(*place, 4, r), normal(4, d, r), normal(4, d), -normal(4, d, n).exp(),
        normal(*place, 4, n), normal(*place, 4, n), normal(4, d),
    )  # fmt: skip
    return [x.to(dtype) for x in tensors]


def gradients(inputs):
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = selective_scan_2d(*leaves)
    return [y, *torch.autograd.grad(y.square().sum(), leaves)]


@pytest.fixture
def calls(monkeypatch):
    """Names of the backends that ran, in order."""
    names = []
    for backend in choice.BACKENDS.values():
        monkeypatch.setattr(
            type(backend), "forward_2d", lambda self, u, *_: names.append(self.name) or torch.zeros_like(u)
        )
    monkeypatch.delenv(choice.ENVIRONMENT_VARIABLE, raising=False)
    yield names
    set_default_backend(None)


def test_the_best_backend_that_serves_the_tensors_runs(calls):
    selective_scan_2d(*map_inputs())
    selective_scan_2d(*map_inputs(dtype=torch.bfloat16))
    selective_scan_2d(*map_inputs(dtype=torch.float64))
    assert calls == ["cpu", "cpu", "reference"]
    assert backends()["reference"] is None
    assert list(backends())[-1] == "reference"


def test_argument_environment_and_configuration_force_a_backend_in_this_order(calls, monkeypatch):
    inputs = map_inputs()
    set_default_backend("reference")
    selective_scan_2d(*inputs)
    monkeypatch.setenv(choice.ENVIRONMENT_VARIABLE, "cpu")
    selective_scan_2d(*inputs)
    selective_scan_2d(*inputs, backend="reference")
    monkeypatch.delenv(choice.ENVIRONMENT_VARIABLE)
    set_default_backend(None)
    selective_scan_2d(*inputs)
    assert calls == ["reference", "cpu", "reference", "cpu"]


def test_a_forced_backend_says_why_it_cannot_serve(monkeypatch):
    with pytest.raises(InputError, match=r"'cpu' \(backend\) cannot serve this call: a tensor is float64"):
        selective_scan_2d(*map_inputs(dtype=torch.float64), backend="cpu")
    monkeypatch.setenv(choice.ENVIRONMENT_VARIABLE, "fpga")
    with pytest.raises(
        InputError, match=r"M3AMBA_SCAN_BACKEND: no scan backend is called 'fpga'; known: .*cpu, reference"
    ):
        selective_scan_2d(*map_inputs())
    with pytest.raises(InputError, match="set_default_backend: no scan backend is called 'gpu'"):
        set_default_backend("gpu")
    with pytest.raises(InputError, match="scan_backend: no scan backend is called 'gpu'"):
        set_default_backend("gpu", asked_by="scan_backend")


def test_without_a_compiler_the_reference_serves(monkeypatch):
    monkeypatch.setattr(cpu, "_import_failure", lambda: "numba cannot be imported: too old")
    inputs = map_inputs(d=3)
    assert backends()["cpu"] == "numba cannot be imported: too old"
    torch.testing.assert_close(
        selective_scan_2d(*inputs), selective_scan_2d(*inputs, backend="reference"), rtol=0, atol=0
    )


@pytest.fixture(params=["torch's threads", "plain threads"])
def several_threads(request, monkeypatch):
    """Two threads even for a small scan, of torch's OpenMP or of Python."""
    monkeypatch.setattr(cpu, "UPDATES_PER_THREAD", 1)
    if request.param == "plain threads":
        monkeypatch.setattr(cpu, "_torch_openmp", lambda: None)


@pytest.mark.usefixtures("several_threads")
@pytest.mark.parametrize("batch", [1, 3])
def test_results_do_not_depend_on_the_number_of_threads(batch):
    """To the last bit: a resumed training must end where an uninterrupted one does."""
    inputs, before = map_inputs(batch), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = gradients(inputs)
        torch.set_num_threads(3)
        shared = [gradients(inputs) for _ in range(3)]
    finally:
        torch.set_num_threads(before)
    for again in shared:
        torch.testing.assert_close(again, alone, rtol=0, atol=0)


@pytest.mark.usefixtures("several_threads")
def test_items_are_shared_out_once_and_an_error_reaches_the_caller():
    seen = []
    cpu.share(lambda first, last: seen.extend(range(first, last)), 37, 3)
    assert sorted(seen) == list(range(37))
    with pytest.raises(MemoryError, match="no room"):
        cpu.share(fail_at_zero, 37, 3)


def fail_at_zero(first, last):
    if first == 0:
        raise MemoryError("no room")


class Scans(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return selective_scan_2d(*map_inputs())[0]


@pytest.mark.usefixtures("several_threads")
def test_a_forked_worker_scans_after_its_parent_did():
    expected = selective_scan_2d(*map_inputs(batch=1))[0]
    loader = torch.utils.data.DataLoader(Scans(), num_workers=1, multiprocessing_context="fork", timeout=60)
    for batch in loader:
        torch.testing.assert_close(batch[0], expected, rtol=0, atol=0)


def double(x):
    return x * 2


def test_compilation_is_said_aloud_and_survives_a_full_disk(caplog, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cpu_numba._PackageCache, "save_overload", refuse)
    monkeypatch.setattr(cpu_numba._PackageCache, "load_overload", lambda *_: None)
    kernel = cpu_numba.kernel(double)
    with caplog.at_level(logging.WARNING):
        cpu_numba.compile_for(kernel, (2,))
        cpu_numba.compile_for(kernel, (2,))
    assert kernel(2) == 4
    (line,) = (record.message for record in caplog.records)
    assert re.match("compiled the CPU scan .* in .* s; it could not be kept .* No space left", line)


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch):
    def refuse(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(cpu_numba._PackageCache, "__init__", refuse)
    kernel = cpu_numba.kernel(double)
    cpu_numba.compile_for(kernel, (3,))
    assert kernel(3) == 6


class FakeSelectiveScanFn:
    """mamba-ssm's interface in the shape its CUDA kernels have, computed by the reference."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, delta_bias, delta_softplus):
        assert z is None
        assert u.dtype == delta.dtype == B.dtype == C.dtype
        assert A.dtype == D.dtype == delta_bias.dtype == torch.float32
        ctx.save_for_backward(u, delta, A, B, C, D, delta_bias)
        ctx.delta_softplus = delta_softplus
        return ReferenceBackend().forward(u, delta, A, B, C, D, delta_bias, softplus=delta_softplus)

    @staticmethod
    def backward(ctx, dout):
        du, ddelta, dA, dB, dC, dD, dbias = ReferenceBackend().backward(
            dout, *ctx.saved_tensors, softplus=ctx.delta_softplus
        )
        return du, ddelta, dA, dB, dC, dD, None, dbias, None, None


def test_mamba_ssm_is_called_as_its_interface_asks(monkeypatch):
    module = types.ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.SelectiveScanFn = FakeSelectiveScanFn
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(gpu, "_import_mamba_ssm", gpu._import_mamba_ssm.__wrapped__)
    monkeypatch.setattr(gpu.MambaSsmBackend, "unavailable_reason", lambda *_: None)
    inputs = map_inputs(d=6)
    expected = gradients(inputs)
    monkeypatch.setenv(choice.ENVIRONMENT_VARIABLE, "mamba_ssm")
    torch.testing.assert_close(gradients(inputs), expected, rtol=1e-4, atol=1e-4)
    sequence = [normal(2, 4, 5), normal(2, 4, 5), -normal(4, 3).exp(), normal(2, 2, 3, 5), normal(2, 2, 3, 5)]
    torch.testing.assert_close(selective_scan(*sequence), selective_scan(*sequence, backend="cpu"))
