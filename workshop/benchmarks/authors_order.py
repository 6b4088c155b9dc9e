"""The network in the order of computation of the authors' code, with our modules' weights.

Every scan copies its input into four orders, projects each copy, and runs as one scan of sequences. A
Cross-SS2D also scans the fused stream z, gates it and applies its MLP, although nothing uses the result. This
is for comparison only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from m3amba_zoo.models.m3amba import Block, CrossBlock
from m3amba_zoo.models.ss2d import DIRECTIONS, SS2D, CrossSS2D, ScanParameters
from m3amba_zoo.ops.reference import in_order, selective_scan

SequenceScan = Callable[..., Tensor]
step_by_step: SequenceScan = partial(selective_scan, softplus=True)


class _Copied(torch.autograd.Function):
    """Copies ``(b, H, W, c)`` into the four orders, ``(b, 4, c, H W)``; the gradient is a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.place = x.shape[1:3]
        return _copied(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        return _merged(grad, *ctx.place)


class _Merged(torch.autograd.Function):
    """Sums ``(b, 4, c, H W)`` in map order, ``(b, H, W, c)``; the gradient is copied."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, height: int, width: int) -> Tensor:
        ctx.place = height, width
        return _merged(y, height, width)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _copied(grad), None, None


def _copied(x: Tensor) -> Tensor:
    b, height, width, c = x.shape
    copies = x.new_empty(b, DIRECTIONS, c, height * width)
    rows = x.permute(0, 3, 1, 2)
    copies[:, 0].unflatten(2, (height, width)).copy_(rows)
    copies[:, 1].unflatten(2, (width, height)).copy_(rows.mT)
    copies[:, 2:] = copies[:, :2].flip(3)
    return copies


def _merged(y: Tensor, height: int, width: int) -> Tensor:
    by_row, by_column = (y[:, k] + y[:, k + 2].flip(2) for k in range(2))
    total = by_row.unflatten(2, (height, width)) + by_column.unflatten(2, (width, height)).mT
    return total.permute(0, 2, 3, 1)


def copying_scan_2d(
    u: Tensor, dt: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, *,
    scan: SequenceScan,
) -> Tensor:  # fmt: skip
    """Compute :func:`m3amba_zoo.ops.selective_scan_2d` by ``scan`` of four copies side by side."""
    dt, B, C = (torch.stack([in_order(x[..., k, :], k) for k in range(DIRECTIONS)], 1) for x in (dt, B, C))
    return _scan_copies(_Copied.apply(u), dt_weight @ dt, A, B, C, D, dt_bias, scan, *u.shape[1:3])


class CopyingSS2D(SS2D):
    """SS2D in the authors' order."""

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Scan ``(B, H, W, E)`` to the same shape."""
        u, gate = self.in_proj(x_BHWE).chunk(2, dim=-1)
        copies = _Copied.apply(self._mix_neighbours(u))
        delta, B, C = _project(copies, self.own)
        return self._gate_out(_scan_own(copies, delta, self.own.A, B, C, self.own, x_BHWE.shape[1:3]), gate)


class CopyingCrossSS2D(CrossSS2D):
    """Cross-SS2D in the authors' order; returns the outputs for both inputs."""

    def forward(self, x_BHWE: Tensor, z_BHWE: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Scan x and z ``(B, H, W, E)``, with their B exchanged and the mean of their A."""
        place = x_BHWE.shape[1:3]
        u_x, gate_x = self.in_proj(x_BHWE).chunk(2, dim=-1)
        u_z, gate_z = self.in_proj(z_BHWE).chunk(2, dim=-1)
        x, z = (_Copied.apply(self._mix_neighbours(u)) for u in (u_x, u_z))
        delta_x, B_x, C_x = _project(x, self.own)
        delta_z, B_z, C_z = _project(z, self.fused)
        A = (self.own.A + self.fused.A) / 2
        y_x = _scan_own(x, delta_x, A, B_z, C_x, self.own, place)
        y_z = _scan_own(z, delta_z, A, B_x, C_z, self.fused, place)
        return self._gate_out(y_x, gate_x), self._gate_out(y_z, gate_z)


class CopyingCrossBlock(CrossBlock):
    """A CrossBlock in the authors' order: z passes through all of it, although its output is not used."""

    scan_class = CopyingCrossSS2D

    def forward(self, x_BHWE: Tensor, z_BHWE: Tensor) -> Tensor:  # type: ignore[override]
        """Return x's new value ``(B, H, W, E)``."""
        outputs = self.scan(self.norm1(x_BHWE), self.norm1(z_BHWE))
        x, z = (old + self.drop_path(new) for old, new in zip((x_BHWE, z_BHWE), outputs, strict=True))
        x, z = (stream + self.drop_path(self.mlp(self.norm2(stream))) for stream in (x, z))
        return x


class CopyingBlock(Block):
    """A Block in the authors' order."""

    scan_class = CopyingSS2D


def in_authors_order(model: nn.Module) -> nn.Module:
    """Return a copy of a network with the same weights, whose blocks compute in the authors' order."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Block):
                setattr(parent, name, _rebuilt(child))
    return model


def _rebuilt(block: Block) -> Block:
    kind = CopyingCrossBlock if isinstance(block, CrossBlock) else CopyingBlock
    width, state = block.norm1.normalized_shape[0], cast(ScanParameters, block.scan.own).d_state
    rebuilt = kind(width, state, block.drop_path.rate)
    rebuilt.load_state_dict(block.state_dict())
    return rebuilt.train(block.training)


def _project(copies: Tensor, parameters: ScanParameters) -> tuple[Tensor, Tensor, Tensor]:
    """Return delta ``(b, 4, c, L)``, B and C ``(b, 4, n, L)`` of each copy."""
    rows = parameters.x_proj @ copies
    dt, B, C = rows.split((parameters.dt_rank, parameters.d_state, parameters.d_state), dim=2)
    return parameters.dt_weight @ dt, B, C


def _scan_own(
    copies: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, own: ScanParameters, place: torch.Size
) -> Tensor:
    return _scan_copies(copies, delta, A, B, C, own.D, own.dt_bias, step_by_step, *place)


def _scan_copies(
    copies: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor,
    scan: SequenceScan, height: int, width: int,
) -> Tensor:  # fmt: skip
    y = scan(copies.flatten(1, 2), delta.flatten(1, 2), A.flatten(0, 1), B, C, D.flatten(), bias.flatten())
    return _Merged.apply(y.unflatten(1, (DIRECTIONS, -1)), height, width)
