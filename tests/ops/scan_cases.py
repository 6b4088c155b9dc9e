"""Inputs of both scans, and the comparison of a backend's results with the reference in float64."""

import torch

# relative to the largest number: forward, backward; with 16-bit inputs one rounding of the result is added
TOLERANCE = {torch.float32: (1e-5, 1e-4), torch.bfloat16: (8e-3, 8e-3), torch.float16: (1e-3, 1e-3)}


def sequence_inputs(b, d, length, n, g, seed=0, device="cpu"):
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random).to(device)

    return [
        normal(b, d, length),
        normal(b, d, length) * 2 - 2,
        -torch.exp(normal(d, n)),
        normal(b, g, n, length),
        normal(b, g, n, length),
        normal(d),
        normal(d),
    ]


def map_inputs(b, height, width, d, n, r, seed=0, device="cpu"):
    random = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=random).to(device)

    return [
        normal(b, height, width, d),
        normal(b, height, width, 4, r),
        normal(4, d, r) * r**-0.5,
        normal(4, d) - 2,
        -torch.exp(normal(4, d, n)),
        normal(b, height, width, 4, n),
        normal(b, height, width, 4, n),
        normal(4, d),
    ]


def scattered(x, how):
    """Return the same numbers in another memory layout."""
    if how == "reversed axes":
        return x.permute(*reversed(range(x.dim()))).contiguous().permute(*reversed(range(x.dim())))
    if how == "part of a wider tensor":
        return torch.cat([torch.full_like(x, torch.nan), x, x], dim=-1)[..., x.shape[-1] : 2 * x.shape[-1]]
    if how == "every other":
        return torch.stack([x, torch.full_like(x, torch.nan)], dim=-1).flatten(-2)[..., ::2]
    return x


def output_and_gradients(scan, inputs, backend, **options):
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = scan(*inputs, backend=backend, **options)
    weight = torch.linspace(-1, 1, max(y.numel(), 1), dtype=torch.float64, device=y.device)[: y.numel()]
    return [y, *torch.autograd.grad((y.double() * weight.view(y.shape)).sum(), inputs)]


def assert_close(found, expected, tolerances):
    for i, (x, y) in enumerate(zip(found, expected, strict=True)):
        assert x.shape == y.shape
        error = (x.double() - y).abs().max() / y.abs().max().clamp(min=1e-3) if y.numel() else torch.zeros(())
        assert error <= tolerances[min(i, 1)], f"number {i} is off by {error}"
