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

from m3amba_zoo.ops import backends, reference, selective_scan
from workshop.benchmarks.peak_memory import available_bytes
from workshop.benchmarks.plain_scans import lean_scan, mambapy_missing, mambapy_scan
from workshop.benchmarks.section import NOT_MEASURED, Row, Section
from workshop.benchmarks.timing import median_seconds

Scan = Callable[..., Tensor]
OURS, LEAN, MAMBAPY, REFERENCE = "ours", "torch loop", "mambapy", "reference"
FORWARD, WITH_BACKWARD = "forward", "+ backward"
LANES = 16
EXP2_OPERATIONS = {True: 9, False: 12}  # with AVX-512's scaling by a power of two, and without
UPDATE_OPERATIONS = 3  # decay h + drive B, and y + h C: a product and two fused multiply-adds
RECOMPUTE_OPERATIONS = 2  # the state alone, as the backward makes it
GRADIENT_OPERATIONS = 8 + 2 * 45 / LANES  # 8 products and sums; dB and dC summed across 16 lanes by 45
RECOMPUTATIONS = 2
# peak memory in arrays of b d L n numbers, forward and with backward, measured and rounded up
N_FOLD_ARRAYS = {OURS: (0, 0), LEAN: (1, 6), MAMBAPY: (7, 11), REFERENCE: (6, 14)}


def measure(
    channels: int = 3072,
    length: int = 1024,
    state: int = 16,
    groups: int = 4,
    batches: Sequence[int] = (1, 8),
) -> Section:
    """Measure each version, forward and with backward, for each batch size.

    Errors are the largest absolute difference from float64 over the largest absolute value, and for
    gradients the worst of all inputs; they are measured at the first batch size.
    """
    section = Section(
        f"scan: d {channels}, L {length}, n {state}, g {groups}, float32, "
        f"{torch.get_num_threads()} CPU threads"
    )
    ours_missing = backends()["cpu"]
    if ours_missing is None:
        from workshop.benchmarks.vector_rate import operations_per_second

        section.limits["vector_operations_per_s"] = operations_per_second()
    versions: dict[str, tuple[Scan, str | None]] = {
        OURS: (partial(selective_scan, backend="cpu"), ours_missing),
        LEAN: (lean_scan, None),
        MAMBAPY: (mambapy_scan, mambapy_missing()),
        REFERENCE: (partial(reference.selective_scan, softplus=True), None),
    }
    for batch in batches:
        inputs = scan_inputs(batch, channels, length, state, groups)
        dy = output_gradient(inputs[0])
        exact = None
        if batch == batches[0]:
            exact = output_and_gradients(lean_scan, [x.double() for x in inputs], dy.double())
        updates = batch * channels * length * state
        for index, name in enumerate((FORWARD, WITH_BACKWARD)):
            rows: list[Row] = []
            for version, (scan, missing) in versions.items():
                missing = missing or _too_large(N_FOLD_ARRAYS[version][index] * updates * 4)
                row: Row = {"batch": batch, "pass": name, "version": version}
                rows.append(
                    row | ({NOT_MEASURED: missing} if missing else _figures(name, scan, inputs, dy, exact))
                )
            _compare(rows, updates)
            if "seconds" in rows[0]:
                updates_per_s = updates / float(rows[0]["seconds"])
                limit = section.limits["vector_operations_per_s"] * LANES / operations_per_update()[index]
                rows[0]["share_of_limit"] = updates_per_s / limit
            section.rows += rows
    return section


def scan_inputs(batch: int, channels: int, length: int, state: int, groups: int) -> list[Tensor]:
    """Return u, delta, A, B, C, D, delta_bias as a network starts: steps of 0.001 to 0.1, A from -1 to -n."""
    generator = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(batch, channels, length, generator=generator) for _ in range(2))
    B, C = (torch.randn(batch, groups, state, length, generator=generator) for _ in range(2))
    A = -torch.arange(1.0, state + 1).repeat(channels, 1)
    steps = torch.logspace(-3, -1, channels)
    return [u, 0.5 * delta, A, B, C, torch.ones(channels), torch.log(torch.expm1(steps))]


def operations_per_update() -> tuple[float, float]:
    """Return the vector operations of a state's update on this machine, forward and with backward."""
    exp2 = EXP2_OPERATIONS[torch.backends.cpu.get_cpu_capability().startswith("AVX512")]
    forward = exp2 + UPDATE_OPERATIONS
    return forward, forward + RECOMPUTATIONS * (exp2 + RECOMPUTE_OPERATIONS) + GRADIENT_OPERATIONS


def _figures(name: str, scan: Scan, inputs: list[Tensor], dy: Tensor, exact: list[Tensor] | None) -> Row:
    if name == FORWARD:
        with torch.inference_mode():
            row: Row = {"seconds": median_seconds(lambda: scan(*inputs))}
            found = [scan(*inputs)] if exact else []
    else:
        row = {"seconds": median_seconds(lambda: output_and_gradients(scan, inputs, dy))}
        found = output_and_gradients(scan, inputs, dy) if exact else []
    if exact:
        errors = [relative_error(*pair) for pair in zip(found, exact, strict=False)]
        row["error"] = max(errors)
    return row


def output_gradient(u: Tensor) -> Tensor:
    """Return a fixed gradient for the output, of u's shape and kind; making it is no part of any version."""
    numbers = torch.arange(u.numel(), dtype=torch.float32, device=u.device)
    return torch.cos(numbers).view_as(u).to(u.dtype)


def output_and_gradients(scan: Scan, inputs: list[Tensor], dy: Tensor) -> list[Tensor]:
    """Return the output and the inputs' gradients, given the output's."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = scan(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Return the largest absolute difference over the largest absolute value."""
    return ((found - exact).abs().max() / exact.abs().max()).item()


def _compare(rows: list[Row], updates: int) -> None:
    """Add updates a second and, behind the first row, how many times as long as the first each takes."""
    for row in rows:
        if "seconds" in row:
            row["updates_per_s"] = updates / float(row["seconds"])
            if "seconds" in rows[0]:
                row["times_ours"] = float(row["seconds"]) / float(rows[0]["seconds"])


def _too_large(needed: int) -> str | None:
    """Say that a version needs more bytes than can be had, or None."""
    available = available_bytes()
    if available is None or needed <= available:
        return None
    return (
        f"it would need about {needed / 2**30:.0f} GiB of memory, {available / 2**30:.0f} GiB are available"
    )
