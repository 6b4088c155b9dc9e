"""Every backend that runs here against the reference in float64, forward and backward."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scan_cases import (
    TOLERANCE,
    assert_close,
    map_inputs,
    output_and_gradients,
    scattered,
    sequence_inputs,
)

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops import backends, selective_scan, selective_scan_2d

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def serves(backend, device):
    try:
        selective_scan(*sequence_inputs(1, 1, 1, 1, 1, device=device), backend=backend)
    except InputError:
        return False
    return True


NOT_DRAWN = ("reference", "triton")  # triton would compile for most draws; test_triton has its cases


@pytest.mark.parametrize(
    ("backend", "device"),
    [(b, device) for device in DEVICES for b in backends() if b not in NOT_DRAWN and serves(b, device)],
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_backends_agree_with_the_reference(backend, device, data):
    draw = data.draw
    batch, n = draw(st.integers(0, 3)), draw(st.sampled_from([1, 2, 3, 8, 16, 17, 33, 256]))
    seed = draw(st.integers(0, 99))
    dtype = draw(st.sampled_from(list(TOLERANCE)))
    layout = draw(st.sampled_from(["dense", "reversed axes", "part of a wider tensor", "every other"]))
    options = {}
    if draw(st.booleans()):
        groups = draw(st.integers(1, 3))
        d, length = groups * draw(st.integers(1, 35)), draw(st.integers(1, 40))
        scan, inputs = selective_scan, sequence_inputs(batch, d, length, n, groups, seed, device)
        options["delta_softplus"] = draw(st.booleans())
        if not options["delta_softplus"]:
            inputs[1:2], inputs[6:] = [inputs[1].abs()], [inputs[6].abs()]
    else:
        height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
        d, r = draw(st.integers(1, 35)), draw(st.sampled_from([1, 3, 16, 17]))
        scan, inputs = selective_scan_2d, map_inputs(batch, height, width, d, n, r, seed, device)
    inputs = [scattered(x.to(dtype), layout) for x in inputs]
    found = output_and_gradients(scan, inputs, backend, **options)
    assert all(x.dtype == dtype for x in found)
    expected = output_and_gradients(scan, [x.double() for x in inputs], "reference", **options)
    assert_close(found, expected, TOLERANCE[dtype])


def test_extreme_steps_stay_exact():
    """Decays that underflow, steps of nearly zero and of a thousand, and a NaN that must not vanish."""
    u, delta, A, B, C, D, bias = sequence_inputs(1, 16, 20, 4, 1)
    delta[0, :4], delta[0, 4:8], A[8:] = 1000.0, -80.0, -1e4
    inputs = [u, delta, A, B, C, D, bias]
    found = output_and_gradients(selective_scan, inputs, None)
    expected = output_and_gradients(selective_scan, [x.double() for x in inputs], "reference")
    assert_close(found, expected, (1e-5, 1e-4))
    A[3, 1] = torch.nan
    y = selective_scan(*inputs)
    assert y[0, 3].isnan().all()
    assert not y[0, 4].isnan().any()


@pytest.mark.parametrize("size", [1e12, 1e17, 1e30, 3e38])
def test_decays_beyond_every_limit_are_zero_as_in_the_reference(size):
    u, delta, A, B, C, D, bias = sequence_inputs(1, 16, 20, 4, 1)
    A[8:] *= size
    A.clamp_(min=-3e38)
    delta = delta.abs() + 1
    delta[0, :4] *= min(size, 1e30)  # through softplus; y stays finite
    inputs = [u, delta, A, B, C, D, bias.abs()]
    found, expected = (selective_scan(*inputs, backend=name) for name in ("cpu", "reference"))
    assert_close([found], [expected.double()], (1e-5, 1e-4))
    gradients = output_and_gradients(selective_scan, inputs, "cpu")
    assert all(x[..., 4:8, :].isfinite().all() for x in gradients[:2])


def test_optional_inputs_and_one_group_without_its_axis():
    u, delta, A, B, C, _, _ = sequence_inputs(2, 6, 5, 3, 1)
    y = selective_scan(u, delta, A, B[:, 0], C[:, 0])
    torch.testing.assert_close(y, selective_scan(u, delta, A, B, C, torch.zeros(6), torch.zeros(6)))


@pytest.mark.parametrize(
    ("scan", "inputs"),
    [(selective_scan, sequence_inputs(2, 4, 5, 3, 2)), (selective_scan_2d, map_inputs(2, 2, 3, 4, 3, 2))],
)
def test_the_reference_differentiates_its_own_forward(scan, inputs):
    inputs = [x.double().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(lambda *x: scan(*x, backend="reference"), inputs, fast_mode=True)


def test_directions_of_a_map():
    """A direction alone, on a decay that forgets nothing, sums what it has passed."""
    u = torch.arange(1.0, 7.0).view(1, 2, 3, 1)
    row_major = torch.tensor([[1, 3, 6], [10, 15, 21]])
    column_major = torch.tensor([[1, 7, 15], [5, 12, 21]])
    reverse_row_major = torch.tensor([[21, 20, 18], [15, 11, 6]])
    reverse_column_major = torch.tensor([[21, 16, 9], [20, 14, 6]])
    for k, expected in enumerate((row_major, column_major, reverse_row_major, reverse_column_major)):
        C = torch.zeros(1, 2, 3, 4, 1)
        C[..., k, :] = 1
        bias = torch.full((4, 1), 1.0).expm1().log()  # softplus of it is 1
        y = selective_scan_2d(
            u, torch.zeros(1, 2, 3, 4, 1), torch.zeros(4, 1, 1), bias, torch.zeros(4, 1, 1),
            torch.ones(1, 2, 3, 4, 1), C, torch.zeros(4, 1),
        )  # fmt: skip
        torch.testing.assert_close(y[0, ..., 0], expected.float())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": torch.zeros(5, 3)}, r"A has shape \(5, 3\), expected \(4, 3\)"),
        ({"B": torch.zeros(2, 3, 3, 5)}, "4 channels cannot be divided into the 3 groups"),
        ({"u": torch.zeros(4, 5)}, r"u \(4, 5\)"),
        ({"delta_bias": torch.zeros(1)}, r"delta_bias has shape \(1,\), expected \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(change, message):
    names = ("u", "delta", "A", "B", "C", "D", "delta_bias")
    inputs = dict(zip(names, sequence_inputs(2, 4, 5, 3, 2), strict=True)) | change
    with pytest.raises(InputError, match=message):
        selective_scan(**inputs)


def test_shapes_of_a_map_that_do_not_fit_are_named():
    inputs = map_inputs(1, 2, 3, 4, 5, 6)
    inputs[5] = inputs[5].transpose(1, 2)
    with pytest.raises(InputError, match=r"B has shape \(1, 3, 2, 4, 5\), expected \(1, 2, 3, 4, 5\)"):
        selective_scan_2d(*inputs)
