"""The backends for CUDA devices: ``triton`` has our kernels, ``mamba_ssm`` those of the package mamba-ssm.

To our kernels a sequence is a map that is visited in one direction. Tensors that are small beside u (the
factors of delta, B, C and the parameters) are made contiguous and float32; u and y's gradient keep their
dtype.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from m3amba_zoo.ops.reference import refusal, selective_scan_2d

LOG2_E = 1.4426950408889634
INTERPRET = "TRITON_INTERPRET"  # Triton's own variable: kernels then run in NumPy, on the CPU too
TRUE = ("1", "true", "on", "yes", "y")  # what Triton takes for true, in upper or lower case
OLDEST_CAPABILITY = (8, 0)
# No GPU has measured these sizes; they follow from the compiled kernels' instructions and registers.
CHUNK = 16  # steps between the states that the backward stores
FORWARD_CHANNELS = 32  # channels of a program, one per lane
BACKWARD_CHANNELS = {16: 32, 256: 16}  # channels of a program by the largest state size n they serve
BACKWARD_REGISTERS = 168  # per lane: 12 programs fill an H100's registers, at 6 % more instructions
STATES_PER_WARP = 32  # a program with a larger state runs on several warps
PROGRAMS_PER_PROCESSOR = 8  # with fewer, an H100's processors would wait: directions then run side by side


class TritonBackend:
    """Triton kernels on CUDA tensors of float32, bfloat16 or float16; the state is float32."""

    name = "triton"
    on_request = True  # until a GPU has run the kernels

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return why it cannot serve these tensors, or None."""
        if find_spec("triton") is None:
            return "triton is not installed"
        interpreted = _interpreted()
        if not interpreted:
            if torch.version.hip is not None:
                return "this torch is built for ROCm, the backend runs on CUDA devices"
            if not torch.cuda.is_available():
                return "torch finds no CUDA device"
        on_cpu = interpreted and all(x.device.type != "cuda" for x in tensors)
        if refused := refusal(tensors, "cpu" if on_cpu else "cuda"):
            return refused
        state, largest = _state(tensors), max(BACKWARD_CHANNELS)
        if state > largest:
            return f"the state's size n is {state}, this backend takes up to {largest}"
        if not interpreted:
            capability = torch.cuda.get_device_capability(tensors[0].device if tensors else None)
            if capability < OLDEST_CAPABILITY:
                found, needed = (".".join(map(str, x)) for x in (capability, OLDEST_CAPABILITY))
                return f"the GPU has compute capability {found}, Triton needs {needed}"
        return _failure()

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of the scan of sequences."""
        return _sequences(*inputs, softplus=softplus).forward().mT.to(inputs[0].dtype).contiguous()

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of sequences."""
        scan = _sequences(*inputs, softplus=softplus)
        ddelta = torch.empty_like(scan.u, dtype=torch.float32)

        def keep(_: slice, draw: Tensor) -> None:
            ddelta.copy_(draw[0])

        du, dA, dB, dC, dD = scan.backward(grad.mT, keep)
        dB, dC = (x.permute(0, 2, 3, 1) for x in (dB, dC))
        return du.mT, ddelta.mT, dA[0].mT, dB, dC, dD[0], ddelta.sum((0, 1))

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of the scan of maps."""
        return _maps(*inputs).forward().view(inputs[0].shape).to(inputs[0].dtype)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of maps."""
        u, _, weight, bias, *_ = inputs
        scan = _maps(*inputs)
        factors, weights = scan.delta.flatten(0, 1), weight.float()  # (b H W, 4, r), (4, d, r)
        dfactors = torch.empty_like(factors)
        dweight, dbias = torch.empty_like(weights), torch.empty_like(bias, dtype=torch.float32)

        # delta is a matrix product of its factors: its gradient passes on by two matrix products
        def through_product(directions: slice, draw: Tensor) -> None:
            draw = draw.flatten(1, 2)  # (directions, b H W, d)
            dfactors[:, directions] = (draw @ weights[directions]).transpose(0, 1)
            dweight[directions] = draw.mT @ factors[:, directions].transpose(0, 1)
            dbias[directions] = draw.sum(1)

        with torch.autocast(u.device.type, enabled=False):
            du, dA, dB, dC, dD = scan.backward(grad.flatten(1, 2), through_product)
        gradients = du, dfactors, dweight, dbias, dA.mT, dB, dC, dD
        return tuple(g.reshape(x.shape) for g, x in zip(gradients, inputs, strict=True))


@dataclass
class _Scan:
    """The kernels' inputs, in the kernels' layout (see :func:`m3amba_zoo.ops.triton_kernels.forward`)."""

    u: Tensor  # (b, L, d)
    delta: Tensor  # (b, L, d), or its factors (b, L, k, r)
    weight: Tensor | None  # (k, r, d) if delta is given by its factors
    bias: Tensor  # (k, d)
    A: Tensor  # (k, n, d)
    BC: Tensor  # (b, L, k or g, n, 2)
    D: Tensor  # (k, d)
    order: Tensor  # (k, L)
    groups: int
    softplus: bool

    def blocks(self, size: int) -> int:
        """Return the number of blocks of ``size`` channels in a group."""
        return -(-(self.u.shape[2] // self.groups) // size)

    def parts(self) -> int:
        """Return how many directions run side by side: the smallest number that occupies the device."""
        programs = self.u.shape[0] * self.groups * self.blocks(FORWARD_CHANNELS)
        wanted = PROGRAMS_PER_PROCESSOR * _processors(self.u.device)
        choices = (1, 2, 4) if len(self.order) == 4 else (1,)
        return next((parts for parts in choices if programs * parts >= wanted), choices[-1])

    def forward(self) -> Tensor:
        """Return y ``(b, L, d)`` in float32."""
        parts = self.parts()
        y = self.u.new_empty((parts, *self.u.shape), dtype=torch.float32)
        for turn in range(self.order.shape[0] // parts):
            self._advance(turn, parts, y=y)
        return _summed(y)

    def backward(self, grad: Tensor, through_delta: Callable[[slice, Tensor], None]) -> tuple[Tensor, ...]:
        """Return the gradients of u, A, B, C and D, in float32; B's and C's are ``(b, L, k or g, n)``.

        Each round calls ``through_delta(directions, draw)`` with the gradient of delta before softplus in its
        directions, ``(directions, b, L, d)``, which the next round overwrites.
        """
        from m3amba_zoo.ops.triton_kernels import backward

        grad = grad.contiguous()
        (b, length, d), (directions, n, _), parts = self.u.shape, self.A.shape, self.parts()
        rounds, N = directions // parts, _power_of_2(n)
        size = next(size for largest, size in BACKWARD_CHANNELS.items() if largest >= N)
        blocks, chunks, sets = self.blocks(size), -(-length // CHUNK), parts * self.groups
        programs = parts * b * self.groups * blocks
        new = functools.partial(torch.empty, dtype=torch.float32, device=self.u.device)
        raws, du = new(parts, b, length, d), new(parts, b, length, d)
        states, scratch = new(parts, b, chunks, n, d), new(programs, CHUNK // 2, N, size)
        dA, dD = new(b, directions, n, d), new(b, directions, d)
        parts_of_dBC = new(blocks, b, length, sets, 2, n)
        dB, dC = (new(b, length, self.BC.shape[2], n) for _ in "BC")
        for turn in range(rounds):
            now = slice(turn, None, rounds)
            self._advance(turn, parts, raws=raws, states=states)
            with torch.cuda.device_of(self.u):
                backward[(programs,)](
                    self.u, grad, raws, self.A, self.BC, self.D, self.order, states, scratch, du, dA,
                    parts_of_dBC, dD, b, d, self.groups, self.BC.shape[2], sets, length, directions, turn,
                    rounds, int(turn > 0), SOFTPLUS=self.softplus, n=n, N=N, BLOCK=size, CHUNK=CHUNK,
                    num_warps=max(1, N // STATES_PER_WARP), num_stages=1, maxnreg=BACKWARD_REGISTERS,
                )  # fmt: skip
            for total, own in zip((dB, dC), _summed(parts_of_dBC).unbind(3), strict=True):
                total[:, :, now if directions > 1 else slice(None)] = own
            through_delta(now, raws)
        return _summed(du), _summed(dA), dB, dC, _summed(dD)

    def _advance(
        self, turn: int, parts: int, y: Tensor | None = None, raws: Tensor | None = None,
        states: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Launch the forward of one round's directions: for y, or for what the backward needs."""
        from m3amba_zoo.ops.triton_kernels import forward

        (b, length, d), (directions, n, _) = self.u.shape, self.A.shape
        low_rank, N = self.weight is not None, _power_of_2(n)
        rank = 1 if self.weight is None else self.weight.shape[1]
        none = self.bias  # stands for tensors that this launch does not touch
        with torch.cuda.device_of(self.u):
            forward[(parts * b * self.groups * self.blocks(FORWARD_CHANNELS),)](
                self.u, self.delta, none if self.weight is None else self.weight, self.bias, self.A, self.BC,
                self.D, self.order, none if y is None else y, none if raws is None else raws,
                none if states is None else states, b, d, self.groups, self.BC.shape[2], length, turn,
                directions // parts, int(turn > 0), self.delta[0, 0].numel(), LOW_RANK=low_rank,
                SOFTPLUS=self.softplus, KEEP=y is None, n=n, rank=rank, N=N, R=_power_of_2(rank),
                BLOCK=FORWARD_CHANNELS, CHUNK=CHUNK, num_warps=max(1, N // STATES_PER_WARP), num_stages=1,
            )  # fmt: skip


def _sequences(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor, *, softplus: bool
) -> _Scan:
    BC = _paired(B.permute(0, 3, 1, 2), C.permute(0, 3, 1, 2))
    bias, D = (x.float()[None].contiguous() for x in (bias, D))
    order = torch.arange(u.shape[2], device=u.device)[None]
    u, delta = u.mT.contiguous(), delta.mT.contiguous()
    return _Scan(u, delta, None, bias, _rates(A[None]), BC, D, order, B.shape[1], softplus)


def _maps(
    u: Tensor, dt: Tensor, weight: Tensor, bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor
) -> _Scan:
    order = _orders(u.shape[1], u.shape[2], u.device)
    u, dt, BC = (x.contiguous().flatten(1, 2) for x in (u, dt.float(), _paired(B, C)))
    weight, bias, D = (x.contiguous() for x in (weight.float().mT, bias.float(), D.float()))
    return _Scan(u, dt, weight, bias, _rates(A), BC, D, order, groups=1, softplus=True)


def _rates(A: Tensor) -> Tensor:
    """Return A ``(k, d, n)`` times log2(e) as ``(k, n, d)``: exp(delta A) = 2^(delta rates)."""
    return (A.float() * LOG2_E).mT.contiguous()


def _paired(B: Tensor, C: Tensor) -> Tensor:
    return torch.stack([B.float(), C.float()], -1)


def _orders(height: int, width: int, device: torch.device) -> Tensor:
    """Return the positions of a map in the order of each direction, ``(4, H W)`` int64."""
    rows = torch.arange(height * width, device=device)
    columns = rows.view(height, width).T.flatten()
    return torch.stack([rows, columns, rows.flip(0), columns.flip(0)])


def _summed(parts: Tensor) -> Tensor:
    """Sum over the first axis; a view if it has length 1."""
    return parts.sum(0) if len(parts) > 1 else parts[0]


@functools.cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


@functools.cache
def _failure() -> str | None:
    """Return why the kernels cannot be launched on a device that torch has found, or None."""
    doing = "be imported"
    try:
        import triton

        import m3amba_zoo.ops.triton_kernels  # noqa: F401

        if not _interpreted():
            doing = "reach the GPU"
            triton.runtime.driver.active.get_current_target()  # builds Triton's launcher, with a C compiler
    except Exception as error:  # a Triton built for another torch, Python or driver fails in many ways
        line = (str(error).splitlines() or [""])[0]
        return f"triton cannot {doing}: {type(error).__name__}: {line}"
    return None


def _interpreted() -> bool:
    return os.environ.get(INTERPRET, "").lower() in TRUE


def _state(tensors: tuple[Tensor, ...]) -> int:
    """Return the state size n, the last axis of A; 0 if these are not all inputs of a scan."""
    place_of_A = {7: 2, 8: 4}.get(len(tensors))  # sequences, maps
    return 0 if place_of_A is None else tensors[place_of_A].shape[-1]


def _power_of_2(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


class MambaSsmBackend:
    """mamba-ssm's selective scan of CUDA tensors; a map is copied once per direction."""

    name = "mamba_ssm"
    on_request = False

    def unavailable_reason(self, *tensors: Tensor) -> str | None:
        """Return why it cannot serve these tensors, or None."""
        failure = _import_mamba_ssm()[1]
        if failure is not None:
            return failure
        if not torch.cuda.is_available():
            return "torch finds no CUDA device"
        return refusal(tensors, "cuda")

    def forward(self, *inputs: Tensor, softplus: bool) -> Tensor:
        """Return y of the scan of sequences."""
        return _call_mamba_ssm(_MambaSsmContext(), *inputs, softplus=softplus).to(inputs[0].dtype)

    def backward(self, grad: Tensor, *inputs: Tensor, softplus: bool) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of sequences."""
        context = _MambaSsmContext()
        y = _call_mamba_ssm(context, *inputs, softplus=softplus)
        grad = grad.to(y.dtype).contiguous()
        du, ddelta, dA, dB, dC, dD, _, dbias, *_ = _import_mamba_ssm()[0].backward(context, grad)
        gradients = du, ddelta, dA, dB, dC, dD, dbias
        return tuple(g.to(x.dtype) for g, x in zip(gradients, inputs, strict=True))

    def forward_2d(self, *inputs: Tensor) -> Tensor:
        """Return y of the scan of maps."""
        return selective_scan_2d(*inputs, scan=self.forward)

    def backward_2d(self, grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient of each input of the scan of maps."""

        def scan(*inputs: Tensor, softplus: bool) -> Tensor:
            return _MambaSsmScan.apply(self, softplus, *inputs)

        return torch.func.vjp(functools.partial(selective_scan_2d, scan=scan), *inputs)[1](grad)


class _MambaSsmContext:
    """Stands for autograd's context, in which SelectiveScanFn stores tensors and attributes."""

    saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


class _MambaSsmScan(torch.autograd.Function):
    """The scan of sequences in the form that torch.func.vjp needs; SelectiveScanFn has another."""

    @staticmethod
    def forward(backend: MambaSsmBackend, softplus: bool, *inputs: Tensor) -> Tensor:
        return backend.forward(*inputs, softplus=softplus)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.backend, ctx.softplus, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        return None, None, *ctx.backend.backward(grads[0], *ctx.saved_tensors, softplus=ctx.softplus)


def _call_mamba_ssm(context: _MambaSsmContext, *inputs: Tensor, softplus: bool) -> Tensor:
    """Run SelectiveScanFn, which wants u, delta, B and C in one dtype and A, D and the bias in float32."""
    u, delta, A, B, C, D, bias = inputs
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in (u, delta, B, C)))
    u, delta, B, C = (x.to(dtype).contiguous() for x in (u, delta, B, C))
    A, D, bias = (x.float().contiguous() for x in (A, D, bias))
    return _import_mamba_ssm()[0].forward(context, u, delta, A, B, C, D, None, bias, softplus)


@functools.cache
def _import_mamba_ssm() -> tuple[Any, str | None]:
    """Return mamba-ssm's SelectiveScanFn, or why it cannot be imported."""
    try:
        return importlib.import_module("mamba_ssm.ops.selective_scan_interface").SelectiveScanFn, None
    except ModuleNotFoundError:
        return None, "mamba-ssm is not installed (pip install m3amba_zoo[cuda])"
    except Exception as error:  # a build for another torch or CUDA fails in many ways
        return None, f"mamba-ssm cannot be imported: {type(error).__name__}: {error}"
