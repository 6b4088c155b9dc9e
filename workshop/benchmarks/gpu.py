"""The four-direction scan of a map on a GPU: ours, mamba-ssm's kernel on copies, torch.compile, reference.

Step sizes, B and C have the dtype in the row, as under autocast; parameters and every version's state are
float32. The bytes that must move are those of each map once: the forward reads u, dt, B, C and writes y; the
backward reads these and y's gradient, and writes their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from m3amba_zoo.models import ss2d
from m3amba_zoo.ops import reference, selective_scan, selective_scan_2d
from m3amba_zoo.ops.backend import BACKENDS
from workshop.benchmarks.authors_order import copying_scan_2d
from workshop.benchmarks.measuring import median_seconds, peak_mebibytes
from workshop.benchmarks.rival_scans import compiled_scan, lean_scan
from workshop.benchmarks.scan import (
    FORWARD,
    WITH_BACKWARD,
    output_and_gradients,
    output_gradient,
    relative_error,
)
from workshop.benchmarks.section import NOT_MEASURED, Row, Section

Scan2d = Callable[..., Tensor]
OURS, MAMBA_SSM, COMPILED, REFERENCE = "ours", "mamba-ssm, copies", "compiled", "reference"
IN_PLACE, COPIES = "in place (ours)", "copies, our scan of sequences"
MEMORY = "Cross-SS2D"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SLICE = 64  # channels of one map that are compared with float64
COPY_BYTES = 2**30


def measure(
    channels: int = 768, state: int = 16, rank: int = 24, sides: Sequence[int] = (32, 64), batch: int = 64,
    device: str = "cuda", copy_bytes: int = COPY_BYTES,
) -> Section:  # fmt: skip
    """Measure each version, forward and with backward, and one Cross-SS2D forward's peak memory."""
    section = Section(f"gpu: four-direction scan, d {channels}, n {state}, rank {rank}, batch {batch}")
    missing = "no CUDA device" if device == "cuda" and not torch.cuda.is_available() else None
    if missing is None:
        section.limits["bandwidth_bytes_per_s"] = bandwidth(device, copy_bytes)
    for side in sides:
        for inputs_dtype, dtype in DTYPES.items():
            shape: Row = {"side": side, "inputs": inputs_dtype}
            inputs = [] if missing else map_inputs(batch, side, channels, state, rank, dtype, device)
            for index, name in enumerate((FORWARD, WITH_BACKWARD)):
                rows: list[Row] = []
                for version, (scan, reason) in versions().items():
                    row: Row = shape | {"pass": name, "version": version}
                    reason = missing or reason
                    rows.append(row | ({NOT_MEASURED: reason} if reason else _figures(name, scan, inputs)))
                for row in rows:
                    _compare(row, rows[0], "seconds")
                    if "seconds" in row:
                        moved = moved_bytes(inputs)[index] / float(row["seconds"])
                        row["share_of_bandwidth"] = moved / section.limits["bandwidth_bytes_per_s"]
                section.rows += rows
        section.rows += _memory(side, batch, channels // 2, state, device, missing)
    return section


def versions() -> dict[str, tuple[Scan2d, str | None]]:
    """Return each version's scan, and the reason if it cannot run here."""
    return {
        OURS: (partial(selective_scan_2d, backend="triton"), BACKENDS["triton"].unavailable_reason()),
        MAMBA_SSM: (partial(_copying, scan=mamba_ssm_scan), BACKENDS["mamba_ssm"].unavailable_reason()),
        COMPILED: (partial(_copying, scan=compiled_scan), None),
        REFERENCE: (reference.selective_scan_2d, None),
    }


def mamba_ssm_scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor
) -> Tensor:
    """Scan by mamba-ssm's autograd function; our operator's backward would run its forward a second time."""
    from mamba_ssm.ops.selective_scan_interface import SelectiveScanFn

    return SelectiveScanFn.apply(u, delta, A, B, C, D, None, delta_bias, True)


def map_inputs(
    batch: int, side: int, channels: int, state: int, rank: int, dtype: torch.dtype, device: str
) -> list[Tensor]:
    """Return u, dt, dt_weight, dt_bias, A, B, C, D as initialised: steps of 0.001 to 0.1, A from -1 to -n."""
    generator = torch.Generator(device).manual_seed(0)
    normal = partial(torch.randn, generator=generator, device=device)
    u = normal(batch, side, side, channels)
    dt, B, C = (normal(batch, side, side, 4, size) for size in (rank, state, state))
    weight = (2 * torch.rand(4, channels, rank, generator=generator, device=device) - 1) * rank**-0.5
    bias = torch.logspace(-3, -1, channels, device=device).expm1().log().repeat(4, 1)
    A = -torch.arange(1.0, state + 1, device=device).repeat(4, channels, 1)
    D = torch.ones(4, channels, device=device)
    return [u.to(dtype), dt.to(dtype), weight, bias, A, B.to(dtype), C.to(dtype), D]


def moved_bytes(inputs: Sequence[Tensor]) -> tuple[int, int]:
    """Return the bytes that must move, forward and with backward."""
    u, dt, _, _, _, B, C, _ = inputs
    read = sum(x.numel() * x.element_size() for x in (u, dt, B, C))
    y = u.numel() * u.element_size()
    return read + y, (read + y) + (read + y) + read


def bandwidth(device: str, size: int) -> float:
    """Return the bytes per second that copying ``size`` bytes reads and writes."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _seconds(lambda: target.copy_(source), device)


def _copying(u: Tensor, dt: Tensor, weight: Tensor, *others: Tensor, scan: Callable[..., Tensor]) -> Tensor:
    """Scan four copies, with delta computed in dt's dtype, as under autocast."""
    return copying_scan_2d(u, dt, weight.to(dt.dtype), *others, scan=scan).to(u.dtype)


def _figures(name: str, scan: Scan2d, inputs: list[Tensor]) -> Row:
    """Return the time of one pass and its error on a slice, or why it failed."""
    device = inputs[0].device.type
    try:
        if name == FORWARD:
            with torch.no_grad():
                row: Row = {"seconds": _seconds(lambda: scan(*inputs), device)}
        else:
            leaves = [x.detach().requires_grad_() for x in inputs]
            weight = torch.ones_like(inputs[0])
            row = {"seconds": _seconds(lambda: torch.autograd.grad(scan(*leaves), leaves, weight), device)}
        row["error"] = _error(name, scan, inputs)
    except Exception as error:  # out of memory, or from a compiler: the other rows can still be measured
        return {NOT_MEASURED: f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
    finally:
        torch.compiler.reset()  # torch.compile gives up after a number of shapes and dtypes
        if device == "cuda":
            torch.cuda.empty_cache()
    return row


def _error(name: str, scan: Scan2d, inputs: list[Tensor]) -> float:
    """Return the largest error of the output or of any gradient, against float64."""
    u, dt, weight, bias, A, B, C, D = inputs
    part = [u[:1, ..., :SLICE], dt[:1], weight[:, :SLICE], bias[:, :SLICE], A[:, :SLICE], B[:1], C[:1]]
    part.append(D[:, :SLICE])
    dy, doubles = output_gradient(part[0]), [x.double() for x in part]
    found = output_and_gradients(scan, part, dy)
    exact = output_and_gradients(partial(copying_scan_2d, scan=lean_scan), doubles, dy.double())
    pairs = list(zip(found, exact, strict=True))[: 1 if name == FORWARD else None]
    return max(relative_error(*pair) for pair in pairs)


def _memory(side: int, batch: int, embed_dim: int, state: int, device: str, missing: str | None) -> list[Row]:
    """Return the rows of one Cross-SS2D forward's peak memory, above its inputs and weights."""
    if missing is None:
        on_cuda = device == "cuda"
        missing = BACKENDS["triton"].unavailable_reason() if on_cuda else "only CUDA counts its memory"
    in_place, sequences = (partial(scan, backend="triton") for scan in (selective_scan_2d, selective_scan))
    rows: list[Row] = []
    for version, scan in ((IN_PLACE, in_place), (COPIES, partial(copying_scan_2d, scan=sequences))):
        row: Row = {"side": side, "inputs": "float32", "pass": MEMORY, "version": version}
        rows.append(row)
        if missing:
            row[NOT_MEASURED] = missing
            continue
        layer = ss2d.CrossSS2D(embed_dim, state).to(device)
        inputs = torch.randn(2, batch, side, side, embed_dim, device=device)
        with patch.object(ss2d, "selective_scan_2d", scan), torch.no_grad():
            layer(*inputs[:, :1])  # compiles the kernels
            row["peak_mib"] = peak_mebibytes(partial(layer, *inputs), device)
        _compare(row, rows[0], "peak_mib")
    return rows


def _compare(row: Row, ours: Row, key: str) -> None:
    """Add the ratio of a row's figure to ours."""
    if row is not ours and key in row and key in ours:
        row["times_ours"] = float(row[key]) / float(ours[key])


def _seconds(function: Callable[[], object], device: str) -> float:
    def and_wait() -> None:
        function()
        if device == "cuda":
            torch.cuda.synchronize()

    return median_seconds(and_wait)
