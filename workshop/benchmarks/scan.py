"""The scan of sequences on the CPU: ours, a step-by-step loop, mambapy, reference, and a roofline.

The roofline counts the operations on vectors of 16 numbers that one update of the state needs (one channel,
one of n, one step), without loads and stores; ``docs/performance.md`` derives the counts. Divided by the
measured rate of such operations, they give the shortest possible time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from m3amba_zoo.memory import free_memory
from m3amba_zoo.ops import backends, reference, selective_scan
from workshop.benchmarks.measuring import median_seconds
from workshop.benchmarks.rival_scans import lean_scan, mambapy_missing, mambapy_scan
from workshop.benchmarks.section import NOT_MEASURED, Row, Section

Scan = Callable[..., Tensor]
OURS, LEAN, MAMBAPY, REFERENCE = "ours", "torch loop", "mambapy", "reference"
FORWARD, WITH_BACKWARD = "forward", "+ backward"
LANES = 16
EXP2_OPERATIONS = {True: 9, False: 12}  # with and without AVX-512, which scales by a power of two
UPDATE_OPERATIONS = 3  # decay h + drive B, and y + h C: a product and two fused multiply-adds
RECOMPUTE_OPERATIONS = 2  # the state alone, as the backward recomputes it
GRADIENT_OPERATIONS = 8 + 2 * 45 / LANES  # 8 products and sums; 45 operations sum dB or dC across 16 lanes
RECOMPUTATIONS = 2
# peak memory as a number of arrays (b, d, L, n), forward and with backward, measured and rounded up
N_FOLD_ARRAYS = {OURS: (0, 0), LEAN: (1, 6), MAMBAPY: (7, 11), REFERENCE: (6, 14)}


def measure(
    channels: int = 3072, length: int = 1024, state: int = 16, groups: int = 4,
    batches: Sequence[int] = (1, 8),
) -> Section:  # fmt: skip
    """Measure each version, forward and with backward, for each batch size.

    An error is the largest absolute difference from float64 over the largest absolute value, of gradients the
    worst among all inputs. Errors are measured for the first batch size only.
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
    """Return u, delta, A, B, C, D, delta_bias as initialised: steps of 0.001 to 0.1, A from -1 to -n."""
    generator = torch.Generator().manual_seed(0)
    u, delta = (torch.randn(batch, channels, length, generator=generator) for _ in range(2))
    B, C = (torch.randn(batch, groups, state, length, generator=generator) for _ in range(2))
    A = -torch.arange(1.0, state + 1).repeat(channels, 1)
    steps = torch.logspace(-3, -1, channels)
    return [u, 0.5 * delta, A, B, C, torch.ones(channels), torch.log(torch.expm1(steps))]


def operations_per_update() -> tuple[float, float]:
    """Return the vector operations per update of the state on this machine, forward and with backward."""
    exp2 = EXP2_OPERATIONS[torch.backends.cpu.get_cpu_capability().startswith("AVX512")]
    forward = exp2 + UPDATE_OPERATIONS
    return forward, forward + RECOMPUTATIONS * (exp2 + RECOMPUTE_OPERATIONS) + GRADIENT_OPERATIONS


def _figures(name: str, scan: Scan, inputs: list[Tensor], dy: Tensor, exact: list[Tensor] | None) -> Row:
    def run() -> list[Tensor]:
        if name != FORWARD:
            return output_and_gradients(scan, inputs, dy)
        with torch.inference_mode():
            return [scan(*inputs)]

    row: Row = {"seconds": median_seconds(run)}
    if exact:
        row["error"] = max(relative_error(*pair) for pair in zip(run(), exact, strict=False))
    return row


def output_gradient(u: Tensor) -> Tensor:
    """Return a fixed gradient of the output, in u's shape and dtype, made before the clock starts."""
    numbers = torch.arange(u.numel(), dtype=torch.float32, device=u.device)
    return torch.cos(numbers).view_as(u).to(u.dtype)


def output_and_gradients(scan: Scan, inputs: list[Tensor], dy: Tensor) -> list[Tensor]:
    """Return the output and the gradients of the inputs, from the gradient of the output."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = scan(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Return the largest absolute difference over the largest absolute value."""
    return ((found - exact).abs().max() / exact.abs().max()).item()


def _compare(rows: list[Row], updates: int) -> None:
    """Add the updates per second, and each row's time relative to the first row's."""
    for row in rows:
        if "seconds" in row:
            row["updates_per_s"] = updates / float(row["seconds"])
            if "seconds" in rows[0]:
                row["times_ours"] = float(row["seconds"]) / float(rows[0]["seconds"])


def _too_large(needed: int) -> str | None:
    """Return that a version needs more bytes than are available, or None."""
    available, _ = free_memory()
    if needed <= available:
        return None
    needed_gib, available_gib = needed / 2**30, available / 2**30
    return f"it would need about {needed_gib:.0f} GiB of memory, {available_gib:.0f} GiB are available"
