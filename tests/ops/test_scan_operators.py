"""Both scans as torch operators: compile, export, autocast, no second derivatives."""

import pytest
import torch

from m3amba_zoo.ops import selective_scan, selective_scan_2d


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


SEQUENCE = [
    normal(2, 4, 5),
    normal(2, 4, 5),
    -normal(4, 3).exp(),
    normal(2, 2, 3, 5),
    normal(2, 2, 3, 5),
    normal(4),
    normal(4),
]
MAP = [
    normal(2, 3, 4, 5), normal(2, 3, 4, 4, 2), normal(4, 5, 2), normal(4, 5), -normal(4, 5, 3).exp(),
    normal(2, 3, 4, 4, 3), normal(2, 3, 4, 4, 3), normal(4, 5),
]  # fmt: skip
BOTH = pytest.mark.parametrize(("scan", "inputs"), [(selective_scan, SEQUENCE), (selective_scan_2d, MAP)])


@pytest.mark.parametrize(
    ("operator", "arguments"), [("selective_scan", (*SEQUENCE, True, "")), ("selective_scan_2d", (*MAP, ""))]
)
def test_operators_keep_torchs_rules(operator, arguments):
    arguments = [x.clone().requires_grad_() if isinstance(x, torch.Tensor) else x for x in arguments]
    torch.library.opcheck(getattr(torch.ops.m3amba_zoo, operator).default, arguments)


@BOTH
def test_compile_without_graph_breaks(scan, inputs):
    compiled = torch.compile(scan, fullgraph=True, backend="aot_eager")
    results = []
    for function in (scan, compiled):
        leaves = [x.clone().requires_grad_() for x in inputs]
        y = function(*leaves)
        results.append([y, *torch.autograd.grad(y.square().sum(), leaves)])
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0)


@BOTH
def test_export(scan, inputs):
    class Network(torch.nn.Module):
        def forward(self, *tensors):
            return scan(*tensors)

    program = torch.export.export(Network(), tuple(inputs))
    torch.testing.assert_close(program.module()(*inputs), scan(*inputs), rtol=0, atol=0)


@BOTH
def test_autocast_keeps_the_state_in_float32(scan, inputs):
    """Inputs that autocast makes 16 bits wide are read as such; sums over a long sequence are not rounded."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        u = leaves[0] @ torch.eye(leaves[0].shape[-1])  # bfloat16 from here on
        y = scan(u, *leaves[1:])
    y.float().sum().backward()
    assert y.dtype == u.dtype == torch.bfloat16
    assert all(x.grad.dtype == torch.float32 for x in leaves)
    expected = scan(u.detach().float(), *inputs[1:])
    torch.testing.assert_close(y.float(), expected, rtol=2**-8, atol=1e-6)  # one rounding, at the end


@BOTH
def test_second_derivatives_are_refused(scan, inputs):
    leaves = [x.clone().requires_grad_() for x in inputs]
    (gradient,) = torch.autograd.grad(scan(*leaves).square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


@BOTH
def test_backward_keeps_the_inputs_alone_and_no_state(scan, inputs):
    """The state is n times as large as the input: it is recomputed, not stored."""
    kept = []
    leaves = [x.clone().requires_grad_() for x in inputs]

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = scan(*leaves)
    y.sum().backward()
    storages = {x.untyped_storage()._cdata: x.untyped_storage().nbytes() for x in kept}
    assert sum(storages.values()) == sum(x.untyped_storage().nbytes() for x in leaves)
