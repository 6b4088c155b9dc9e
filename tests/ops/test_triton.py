"""The Triton kernels through Triton's interpreter, and compiled if there is a GPU.

The interpreter runs in a process of its own: it must be switched on before triton is imported, and for no
other test.
"""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec

import pytest
import torch
from scan_cases import (
    TOLERANCE,
    assert_close,
    map_inputs,
    output_and_gradients,
    scattered,
    sequence_inputs,
)
from torch._subclasses.fake_tensor import FakeTensorMode

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops import backends, gpu, selective_scan, selective_scan_2d
from m3amba_zoo.ops.backend import BACKENDS, ENVIRONMENT_VARIABLE, choose

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@pytest.fixture(scope="module")
def interpreter():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=interpret) as process:
        yield process


def interpret():
    os.environ["TRITON_INTERPRET"] = "1"
    gpu.CHUNK = 4  # small, so that a short scan has several, the last one not full
    torch.set_num_threads(1)


@pytest.fixture(params=["interpreted", *(["compiled"] if torch.cuda.is_available() else [])])
def kernels(request, interpreter, monkeypatch):
    """Run found_by_the_kernels."""
    if request.param == "interpreted":
        return lambda *given: interpreter.submit(found_by_the_kernels, *given).result()
    monkeypatch.setattr(gpu, "_processors", lambda device: 1)
    monkeypatch.setattr(gpu, "PROGRAMS_PER_PROCESSOR", gpu.PROGRAMS_PER_PROCESSOR)  # restored at the end
    return lambda scan, inputs, *given: found_by_the_kernels(scan, [x.cuda() for x in inputs], *given)


def found_by_the_kernels(scan, inputs, programs, options):
    """Return output and gradients as numpy, for a device that wants so many programs."""
    gpu.PROGRAMS_PER_PROCESSOR = programs
    return [x.detach().float().cpu().numpy() for x in output_and_gradients(scan, inputs, "triton", **options)]


def check(kernels, scan, inputs, dtype, layout, programs=99, **options):
    inputs = [scattered(x.to(dtype), layout) for x in inputs]
    found = kernels(scan, inputs, programs, options)
    expected = output_and_gradients(scan, [x.double() for x in inputs], "reference", **options)
    assert_close(map(torch.from_numpy, found), expected, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("b", "height", "width", "d", "n", "r", "dtype", "layout", "programs"),
    [
        (1, 2, 3, 5, 1, 1, torch.float32, "dense", 1),  # one direction after the other
        (1, 3, 2, 35, 5, 3, torch.float32, "part of a wider tensor", 3),  # two side by side, two blocks
        (2, 1, 5, 3, 16, 17, torch.bfloat16, "reversed axes", 99),  # all side by side
        (1, 3, 1, 17, 33, 2, torch.float16, "every other", 99),  # a state on several warps
        (0, 2, 2, 3, 4, 2, torch.float32, "dense", 99),
    ],
)
def test_maps(kernels, b, height, width, d, n, r, dtype, layout, programs):
    inputs = map_inputs(b, height, width, d, n, r)
    check(kernels, selective_scan_2d, inputs, dtype, layout, programs)


@pytest.mark.parametrize(
    ("b", "d", "length", "n", "groups", "dtype", "layout", "softplus"),
    [
        (2, 6, 9, 5, 2, torch.float32, "every other", True),
        (1, 66, 2, 16, 2, torch.bfloat16, "reversed axes", False),  # blocks end with their group
        (1, 3, 13, 1, 1, torch.float16, "part of a wider tensor", True),
        (1, 2, 1, 256, 1, torch.float32, "dense", True),
        (0, 2, 3, 4, 1, torch.float32, "dense", True),
    ],
)
def test_sequences(kernels, b, d, length, n, groups, dtype, layout, softplus):
    inputs = sequence_inputs(b, d, length, n, groups)
    if not softplus:
        inputs[1:2], inputs[6:] = [inputs[1].abs()], [inputs[6].abs()]
    check(kernels, selective_scan, inputs, dtype, layout, delta_softplus=softplus)


def chosen(dtype):
    tensor = torch.zeros(1, dtype=dtype)
    return choose(None, tensor).name, BACKENDS["triton"].unavailable_reason(tensor)


def refused(inputs):
    return BACKENDS["triton"].unavailable_reason(*inputs)


@pytest.mark.parametrize("inputs", [sequence_inputs(1, 1, 1, 257, 1), map_inputs(1, 1, 1, 1, 257, 1)])
def test_a_larger_state_is_refused(interpreter, inputs):
    reason = "the state's size n is 257, this backend takes up to 256"
    assert interpreter.submit(refused, inputs).result() == reason


def test_it_runs_on_request_only_even_where_it_could_run(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    for name in ("triton", "mamba_ssm"):
        monkeypatch.setattr(type(BACKENDS[name]), "unavailable_reason", lambda self, *tensors: None)
    with FakeTensorMode():
        tensor = torch.empty(1, device="cuda:0")
    assert backends()["triton"] == "runs on request only"
    assert choose(None, tensor).name == "mamba_ssm"
    assert choose("triton", tensor).name == "triton"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "triton")
    assert choose(None, tensor).name == "triton"
    monkeypatch.delenv(ENVIRONMENT_VARIABLE)
    monkeypatch.setattr(type(BACKENDS["mamba_ssm"]), "unavailable_reason", lambda self, *tensors: "absent")
    assert choose(None, tensor).name == "reference"


def test_an_interpreted_kernel_runs_only_where_it_is_named(interpreter):
    assert interpreter.submit(chosen, torch.float32).result() == (choose(None, torch.zeros(1)).name, None)
    assert "float64" in interpreter.submit(chosen, torch.float64).result()[1]


def test_it_says_why_it_cannot_serve(monkeypatch):
    assert list(backends())[:2] == ["triton", "mamba_ssm"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert backends()["triton"] == "runs on request only; torch finds no CUDA device"
    with pytest.raises(InputError, match=r"'triton' \(backend\) cannot serve this call: torch finds no CUDA"):
        selective_scan_2d(*map_inputs(1, 1, 1, 1, 1, 1), backend="triton")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "the GPU has compute capability 7.5, Triton needs 8.0" in backends()["triton"]
    monkeypatch.setattr(torch.cuda, "get_device_capability", fail)  # a CPU tensor's device has none
    assert BACKENDS["triton"].unavailable_reason(torch.zeros(1)) == (
        "a tensor lies on cpu, this backend runs on CUDA devices"
    )
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert "this torch is built for ROCm, the backend runs on CUDA devices" in backends()["triton"]
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    assert "triton is not installed" in backends()["triton"]


def fail(*_):
    raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")


def test_a_driver_that_triton_cannot_build_is_a_reason(monkeypatch):
    pytest.importorskip("triton", minversion="3.4")  # DriverConfig.active
    from triton.runtime.driver import DriverConfig

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(gpu, "_failure", gpu._failure.__wrapped__)
    monkeypatch.setattr(DriverConfig, "active", property(fail))
    reason = "triton cannot reach the GPU: RuntimeError: Failed to find C compiler."
    assert BACKENDS["triton"].unavailable_reason() == reason


def test_tensors_on_two_devices_are_refused(monkeypatch):
    pytest.importorskip("torch", minversion="2.8")  # fake tensors of a device that is not there
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with FakeTensorMode():
        tensors = [torch.empty(1, device=f"cuda:{index}") for index in (0, 1)]
    assert BACKENDS["triton"].unavailable_reason(*tensors) == (
        "tensors lie on cuda:0 and cuda:1, this backend runs on one device"
    )


@pytest.mark.parametrize(("value", "on"), [("1", True), ("True", True), ("0", False), ("false", False)])
def test_the_interpreter_is_on_as_triton_says(monkeypatch, value, on):
    knobs = pytest.importorskip("triton.knobs", reason="Triton has it since 3.4")
    monkeypatch.setenv("TRITON_INTERPRET", value)
    assert gpu._interpreted() == knobs.runtime.interpret == on


def test_triton_is_not_imported_before_it_is_used():
    program = "import sys, m3amba_zoo.ops; m3amba_zoo.ops.backends(); sys.exit('triton' in sys.modules)"
    without_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", program], check=True, env=without_gpu)
