"""Both scans as torch operators, and the functions that users call.

An operator takes every tensor and a backend's name ("" for none). The backend is chosen when the operator
runs, not while torch.compile or torch.export traces it. This file must not postpone its annotations, because
custom_op reads them.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.library import custom_op, register_autograd, register_fake

from m3amba_zoo.errors import InputError
from m3amba_zoo.ops.backend import choose


@custom_op("m3amba_zoo::selective_scan", mutates_args=())
def _scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor, softplus: bool,
    backend: str,
) -> Tensor:  # fmt: skip
    inputs = (u, delta, A, B, C, D, delta_bias)
    engine = choose(backend, *inputs)
    return engine.forward(*inputs, softplus=softplus) if u.numel() else u.new_zeros(u.shape)


@custom_op("m3amba_zoo::selective_scan_backward", mutates_args=())
def _scan_backward(
    grad: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor,
    softplus: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    inputs = (u, delta, A, B, C, D, delta_bias)
    engine = choose(backend, *inputs)
    grads = engine.backward(grad, *inputs, softplus=softplus) if u.numel() else map(torch.zeros_like, inputs)
    return _as_inputs(grads, inputs)  # type: ignore[return-value]


@custom_op("m3amba_zoo::selective_scan_2d", mutates_args=())
def _scan_2d(
    u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor,
    backend: str,
) -> Tensor:  # fmt: skip
    inputs = (u, dt, dt_weight, dt_bias, A, B, C, D)
    engine = choose(backend, *inputs)
    return engine.forward_2d(*inputs) if u.numel() else u.new_zeros(u.shape)


@custom_op("m3amba_zoo::selective_scan_2d_backward", mutates_args=())
def _scan_2d_backward(
    grad: Tensor, u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor,
    D: Tensor, backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    inputs = (u, dt, dt_weight, dt_bias, A, B, C, D)
    engine = choose(backend, *inputs)
    grads = engine.backward_2d(grad, *inputs) if u.numel() else map(torch.zeros_like, inputs)
    return _as_inputs(grads, inputs)  # type: ignore[return-value]


def _as_inputs(grads: Iterable[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return gradients in the dtypes of the inputs, contiguous."""
    return tuple(grad.to(x.dtype).contiguous() for grad, x in zip(grads, inputs, strict=True))


def _register(forward, backward, tensors: int) -> None:
    """Register an operator's fake kernels and its gradient; its first ``tensors`` arguments are tensors."""

    def fake(u, *_):
        return u.new_empty(u.shape)

    def fake_backward(grad, *arguments):
        return tuple(x.new_empty(x.shape) for x in arguments[:tensors])

    def save(ctx, inputs, output) -> None:
        ctx.save_for_backward(*inputs[:tensors])
        ctx.options = inputs[tensors:]

    def differentiate(ctx, grad):
        return *backward(grad, *ctx.saved_tensors, *ctx.options), *(None for _ in ctx.options)

    def refuse(ctx, *grads):
        raise RuntimeError(
            "the selective scan has no second derivative: a gradient of it cannot be differentiated again"
        )

    register_fake(forward, fake)
    register_fake(backward, fake_backward)
    register_autograd(forward, differentiate, setup_context=save)
    register_autograd(backward, refuse)


_register(_scan, _scan_backward, 7)
_register(_scan_2d, _scan_2d_backward, 8)


def selective_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None,
    delta_bias: Tensor | None = None, delta_softplus: bool = True, backend: str | None = None,
) -> Tensor:  # fmt: skip
    """Scan sequences: h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t, y_t = C_t h_t + D u_t.

    Equations 2 to 4 of Mamba (arXiv 2312.00752), differentiable once in every tensor. Floating dtypes may be
    mixed; the state is float32, or float64 if an input is float64.

    Args:
        u: the input ``(b, d, L)``.
        delta: the step sizes ``(b, d, L)``, before ``delta_bias`` and softplus.
        A: the diagonal of the state matrix ``(d, n)``, negative; n from 1 to 256.
        B: how u enters the state ``(b, g, n, L)``, or ``(b, n, L)`` for g = 1; d is a multiple of g.
            Channels ``i d / g`` to ``(i + 1) d / g`` belong to group i.
        C: how y is read from the state, in B's shape.
        D: the skip ``(d,)``, or None for 0.
        delta_bias: ``(d,)``, added to delta, or None for 0.
        delta_softplus: whether delta passes through softplus.
        backend: a name from :func:`backends`, or None for the best that serves these tensors.

    Returns:
        y ``(b, d, L)`` in u's dtype.

    Raises:
        InputError: if shapes do not match, or the backend is unknown or cannot serve the call.
    """
    if B.dim() == 3:
        B, C = B[:, None], C[:, None] if C.dim() == 3 else C
    if u.dim() != 3 or A.dim() != 2 or B.dim() != 4:
        raise InputError(
            "selective_scan: u (b, d, L), A (d, n) and B (b, g, n, L) are expected; found u "
            f"{tuple(u.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}"
        )
    b, d, length = u.shape
    n, groups = A.shape[1], B.shape[1]
    if groups == 0 or d % groups:
        raise InputError(f"selective_scan: {d} channels cannot be divided into the {groups} groups of B")
    D = A.new_zeros(d) if D is None else D
    delta_bias = A.new_zeros(d) if delta_bias is None else delta_bias
    state_shape = (b, groups, n, length)
    tensors = {"delta": delta, "A": A, "B": B, "C": C, "D": D, "delta_bias": delta_bias}
    shapes = [(b, d, length), (d, n), state_shape, state_shape, (d,), (d,)]
    _check("selective_scan", tensors, shapes)
    return _scan(u, delta, A, B, C, D, delta_bias, delta_softplus, backend or "")


def selective_scan_2d(
    u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor,
    backend: str | None = None,
) -> Tensor:  # fmt: skip
    """Scan a feature map in four directions and sum the four outputs in place.

    Direction k visits the positions row-major (0), column-major (1), row-major reversed (2) or column-major
    reversed (3) (VMamba, arXiv 2401.10166). At each position
    delta_k = softplus(dt_weight_k dt_k + dt_bias_k), and each direction is the scan of
    :func:`selective_scan`. The map is not copied into each order. Differentiable once in every tensor.

    Args:
        u: the map ``(b, H, W, d)``, channels last.
        dt: the low-rank factors of delta ``(b, H, W, 4, r)``.
        dt_weight: ``(4, d, r)``.
        dt_bias: ``(4, d)``.
        A: the diagonal of the state matrix ``(4, d, n)``, negative; n from 1 to 256.
        B: how u enters the state ``(b, H, W, 4, n)``.
        C: how y is read from the state ``(b, H, W, 4, n)``.
        D: the skip ``(4, d)``.
        backend: a name from :func:`backends`, or None for the best that serves these tensors.

    Returns:
        y ``(b, H, W, d)`` in u's dtype.

    Raises:
        InputError: if shapes do not match, or the backend is unknown or cannot serve the call.
    """
    if u.dim() != 4 or dt.dim() != 5 or A.dim() != 3:
        raise InputError(
            "selective_scan_2d: u (b, H, W, d), dt (b, H, W, 4, r) and A (4, d, n) are expected; found u "
            f"{tuple(u.shape)}, dt {tuple(dt.shape)}, A {tuple(A.shape)}"
        )
    *place, d = u.shape
    rank, n = dt.shape[-1], A.shape[-1]
    tensors = {"dt": dt, "dt_weight": dt_weight, "dt_bias": dt_bias, "A": A, "B": B, "C": C, "D": D}
    state_shape = (*place, 4, n)
    shapes = [(*place, 4, rank), (4, d, rank), (4, d), (4, d, n), state_shape, state_shape, (4, d)]
    _check("selective_scan_2d", tensors, shapes)
    return _scan_2d(u, dt, dt_weight, dt_bias, A, B, C, D, backend or "")


def _check(function: str, tensors: dict[str, Tensor], shapes: list[tuple[int, ...]]) -> None:
    for (name, tensor), expected in zip(tensors.items(), shapes, strict=True):
        if tuple(tensor.shape) != expected:
            raise InputError(f"{function}: {name} has shape {tuple(tensor.shape)}, expected {expected}")
