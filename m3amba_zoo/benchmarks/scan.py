"""The scan of sequences on the CPU: ours against a step-by-step loop and mambapy, and against a roofline.

The roofline counts, for each update of a state (one channel, one of n, one step), the operations on vectors
of 16 numbers that the kernels' arithmetic needs, loads and stores for free; ``docs/performance.md`` derives
the counts. Divided by the measured rate of such operations it gives the shortest time possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from m3amba_zoo.benchmarks.machine import available_bytes
from m3amba_zoo.benchmarks.plain_scans import lean_scan, mambapy_missing, mambapy_scan
from m3amba_zoo.benchmarks.section import NOT_MEASURED, Row, Section
from m3amba_zoo.benchmarks.timing import median_seconds
from m3amba_zoo.ops import backends, selective_scan

Scan = Callable[..., Tensor]
OURS, LEAN, MAMBAPY, REFERENCE = "cpu (ours)", "torch loop, exp in each step", "mambapy", "reference"
LANES = 16
EXP2_OPERATIONS = {True: 9, False: 12}  # with AVX-512's scaling by a power of two, and without
UPDATE_OPERATIONS = 3  # decay h + drive B, and y + h C: a product and two fused multiply-adds
RECOMPUTE_OPERATIONS = 2  # the state alone, as the backward makes it
GRADIENT_OPERATIONS = 8 + 2 * 45 / LANES  # 8 products and sums; dB and dC summed across 16 lanes by 45
RECOMPUTATIONS = 2
# arrays of b d L n numbers alive at the peak, forward and with backward: generous, to refuse rather than swap
N_FOLD_ARRAYS = {OURS: (0, 0), LEAN: (0, 6), MAMBAPY: (6, 12), REFERENCE: (6, 12)}


def measure(
    channels: int = 3072,
    length: int = 1024,
    state: int = 16,
    groups: int = 4,
    batches: Sequence[int] = (1, 8),
) -> Section:
    """Measure each version, forward and with backward, for each batch size.

    Errors are the largest absolute difference from float64 over the largest absolute value, and for
    gradients the worst of all inputs; only at the first batch size, which need not be repeated for others.
    """
    section = Section(
        f"scan: d {channels}, L {length}, n {state}, g {groups}, float32, "
        f"{torch.get_num_threads()} CPU threads"
    )
    ours_missing = backends()["cpu"]
    if ours_missing is None:
        from m3amba_zoo.benchmarks.vector_rate import operations_per_second

        section.limits = {"vector_operations_per_s": operations_per_second()}
    versions: dict[str, tuple[Scan, str | None]] = {
        OURS: (partial(selective_scan, backend="cpu"), ours_missing),
        LEAN: (lean_scan, None),
        MAMBAPY: (mambapy_scan, mambapy_missing()),
        REFERENCE: (partial(selective_scan, backend="reference"), None),
    }
    for batch in batches:
        inputs = scan_inputs(batch, channels, length, state, groups)
        exact = _run(lean_scan, [x.double() for x in inputs]) if batch == batches[0] else None
        for name, (scan, missing) in versions.items():
            row: Row = {"batch": batch, "version": name}
            section.rows.append(row)
            if missing is not None:
                row[NOT_MEASURED] = missing
                continue
            row.update(_figures(name, scan, inputs, exact, batch * channels * length * state))
            if name == OURS:
                row.update(_shares(row, section.limits["vector_operations_per_s"]))
        _compare(section.rows[-len(versions) :])
    return section


def scan_inputs(batch: int, channels: int, length: int, state: int, groups: int) -> list[Tensor]:
    """Return u, delta, A, B, C, D, delta_bias as a network starts: steps of 0.001 to 0.1, A from -1 to -n."""
    generator = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(batch, channels, length, generator=generator) for _ in range(2))
    B, C = (torch.randn(batch, groups, state, length, generator=generator) for _ in range(2))
    A = -torch.arange(1.0, state + 1).repeat(channels, 1)
    steps = torch.logspace(-3, -1, channels)
    return [u, 0.5 * delta, A, B, C, torch.ones(channels), torch.log(torch.expm1(steps))]


def operations_per_update(scalef: bool) -> tuple[float, float]:
    """Return the vector operations of a state's update, forward and forward with backward."""
    exp2 = EXP2_OPERATIONS[scalef]
    forward = exp2 + UPDATE_OPERATIONS
    return forward, forward + RECOMPUTATIONS * (exp2 + RECOMPUTE_OPERATIONS) + GRADIENT_OPERATIONS


def _figures(
    name: str, scan: Scan, inputs: list[Tensor], exact: list[Tensor] | None, updates: int
) -> dict[str, float | str]:
    figures: dict[str, float | str] = {}
    available = available_bytes()
    forward_arrays, backward_arrays = N_FOLD_ARRAYS[name]
    if available is not None and forward_arrays * updates * 4 > available:
        return {NOT_MEASURED: _too_large(forward_arrays * updates * 4, available)}
    with torch.inference_mode():
        figures["forward_s"] = seconds = median_seconds(lambda: scan(*inputs))
        figures["forward_updates_per_s"] = updates / seconds
    if available is not None and backward_arrays * updates * 4 > available:
        return {**figures, NOT_MEASURED: "backward: " + _too_large(backward_arrays * updates * 4, available)}
    figures["with_backward_s"] = median_seconds(lambda: _run(scan, inputs))
    if exact is not None:
        errors = [_error(*pair) for pair in zip(_run(scan, inputs), exact, strict=True)]
        figures |= {"forward_error": errors[0], "gradient_error": max(errors[1:])}
    return figures


def _run(scan: Scan, inputs: list[Tensor]) -> list[Tensor]:
    """Return the output and the gradients of its product with a fixed tensor."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = scan(*leaves)
    weight = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).view_as(y).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, weight)]


def _error(found: Tensor, exact: Tensor) -> float:
    return ((found - exact).abs().max() / exact.abs().max()).item()


def _shares(row: Row, operations_per_second: float) -> dict[str, float]:
    """Return which share of the roofline's rate each pass reaches."""
    scalef = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    forward, both = operations_per_update(scalef)
    seconds = float(row["forward_s"])
    updates_per_operation = float(row["forward_updates_per_s"]) * seconds / LANES / operations_per_second
    return {
        "forward_share_of_limit": forward * updates_per_operation / seconds,
        "with_backward_share_of_limit": both * updates_per_operation / float(row["with_backward_s"]),
    }


def _compare(rows: list[Row]) -> None:
    """Add how many times as long each version takes as ours."""
    ours = rows[0]
    for row in rows[1:]:
        for key in ("forward", "with_backward"):
            if f"{key}_s" in row and f"{key}_s" in ours:
                row[f"{key}_times_ours"] = float(row[f"{key}_s"]) / float(ours[f"{key}_s"])


def _too_large(needed: int, available: int) -> str:
    return (
        f"it would need about {needed / 2**30:.0f} GiB of memory, {available / 2**30:.0f} GiB are available"
    )
