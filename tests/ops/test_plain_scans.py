"""The scans in plain operators give what the operators give."""

import pytest
import torch

from m3amba_zoo.ops import plain, selective_scan, selective_scan_2d


def inputs(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("softplus", [True, False])
def test_sequences(softplus):
    state = (2, 3, 5, 9)
    u, delta, A, B, C, D, bias = inputs((2, 6, 9), (2, 6, 9), (6, 5), state, state, (6,), (6,))
    given = (u, delta.abs(), -A.exp(), B, C, D, bias.abs())
    expected = selective_scan(*given, delta_softplus=softplus)
    torch.testing.assert_close(plain.selective_scan(*given, softplus), expected)


def test_maps_that_are_not_square():
    pytest.importorskip("torch", minversion="2.8")  # what m3amba export needs
    place, state = (2, 3, 4), (2, 3, 4, 4, 5)
    given = inputs((*place, 6), (*place, 4, 2), (4, 6, 2), (4, 6), (4, 6, 5), state, state, (4, 6))
    given[4] = -given[4].exp()
    torch.testing.assert_close(plain.selective_scan_2d(*given), selective_scan_2d(*given))


def test_the_softplus_is_exact_for_all_sizes():
    x = torch.tensor([-90.0, -20, -17, -8, -1e-4, 0, 1e-4, 3, 16, 90], dtype=torch.float32)
    expected = torch.nn.functional.softplus(x.double())
    torch.testing.assert_close(plain._softplus(x).double(), expected, rtol=5e-7, atol=0)
