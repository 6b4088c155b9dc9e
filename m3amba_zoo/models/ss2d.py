"""SS2D and Cross-SS2D: the selective scan of a feature map in four directions.

SS2D (VMamba, arXiv 2401.10166) of a map x:

    u, g  = split(Linear(E -> 2I, no bias)(x));   u = SiLU(DWConv3x3(u))
    for each direction k (row-major, column-major, and both reversed), u_k being u in that order:
        dt, B, C = Linear(I -> R + 2N, no bias)(u_k)
        delta    = softplus(Linear(R -> I)(dt) + bias),   A = -exp(A_log)
        h_t      = exp(delta A) h_(t-1) + delta B u_t,    y_t = C h_t + D u_t
    y     = sum over k of the outputs, each put back in place
    out   = Linear(I -> E, no bias)(LayerNorm(I)(y) * SiLU(g))

Cross-SS2D (arXiv 2503.06446) of x and the fused stream z has one set of in_proj, DWConv, LayerNorm and
out_proj for both inputs, and own x_proj, dt_proj, A_log and D for each. The inputs swap B and share A:

    y_x = scan(u_x, delta_x, (A_x + A_z) / 2, B_z, C_x, D_x)

Only x's output is ever used, so z's gate, delta, C, D and scan are not computed. The scan itself runs in
float32. Initial values: bias = inverse softplus of a log-uniform number in [0.001, 0.1], at least 1e-4; dt
weights uniform in +-R^-0.5; A_log = log(1..N); D = 1.

Shape suffixes: B batch, H and W rows and columns, E embed_dim, I = 2E inner, N d_state,
R = ceil(E / 16) dt_rank, K = 4 directions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.models.axes import undecayed
from m3amba_zoo.models.map_linear import MapLinear, map_linear
from m3amba_zoo.ops import selective_scan_2d

DIRECTIONS = 4
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 1e-1, 1e-4


class SS2D(nn.Module):
    """The four-direction selective scan of one feature map, with its gate.

    Args:
        embed_dim: E.
        d_state: N.
    """

    def __init__(self, embed_dim: int, d_state: int = 16) -> None:
        super().__init__()
        inner = 2 * embed_dim
        self.in_proj = MapLinear(embed_dim, 2 * inner, bias=False)
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.own = ScanParameters(inner, d_state, dt_rank=math.ceil(embed_dim / 16))
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = MapLinear(inner, embed_dim, bias=False)

    def _halves(self, x_BHWE: Tensor) -> tuple[Tensor, Tensor]:
        """Return in_proj's u and gate as two maps; views of one map would be copied by later operations."""
        to_u, to_gate = self.in_proj.weight.chunk(2)
        return map_linear(x_BHWE, to_u), map_linear(x_BHWE, to_gate)

    def _mix_neighbours(self, u_BHWI: Tensor) -> Tensor:
        return F.silu(self.conv(u_BHWI.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)

    def _gate_out(self, y_BHWI: Tensor, gate_BHWI: Tensor) -> Tensor:
        return self.out_proj(self.out_norm(y_BHWI) * F.silu(gate_BHWI))

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Scan ``(B, H, W, E)`` to the same shape."""
        u, gate = self._halves(x_BHWE)
        u = self._mix_neighbours(u)
        dt, B, C = self.own.project(u)
        own = self.own
        y = selective_scan_2d(u, dt, own.dt_weight, own.dt_bias, own.A, B, C, own.D)
        return self._gate_out(y, gate)


class CrossSS2D(SS2D):
    """Cross-SS2D: x is scanned with B of the fused stream z and the mean of both state matrices.

    z's delta and D are never used. Their parameters exist, frozen, so that the authors' checkpoints convert
    without loss.
    """

    def __init__(self, embed_dim: int, d_state: int = 16) -> None:
        super().__init__(embed_dim, d_state)
        self.fused = ScanParameters(2 * embed_dim, d_state, self.own.dt_rank)
        for unused in (self.fused.dt_weight, self.fused.dt_bias, self.fused.D):
            unused.requires_grad_(False)

    def forward(self, x_BHWE: Tensor, z_BHWE: Tensor) -> Tensor:  # type: ignore[override]
        """Scan x ``(B, H, W, E)`` with z of the same shape; return x's output, of the same shape."""
        u, gate = self._halves(x_BHWE)
        u = self._mix_neighbours(u)
        u_z = self._mix_neighbours(map_linear(z_BHWE, self.in_proj.weight.chunk(2)[0]))
        dt, _, C = self.own.project(u)
        B_z = self.fused.project_B(u_z)
        A = (self.own.A + self.fused.A) / 2
        y = selective_scan_2d(u, dt, self.own.dt_weight, self.own.dt_bias, A, B_z, C, self.own.D)
        return self._gate_out(y, gate)


class ScanParameters(nn.Module):
    """The parameters that give delta, A, B, C and D of one input of a scan, for each direction.

    Args:
        inner: I.
        d_state: N.
        dt_rank: R.
        directions: K.

    Attributes:
        x_proj: ``(K, R + 2N, I)``; its rows give dt, B and C in that order.
        dt_weight, dt_bias: ``(K, I, R)`` and ``(K, I)``; delta = softplus(dt_weight dt + dt_bias).
        A_log: ``(K, I, N)``; A = -exp(A_log).
        D: ``(K, I)``, the skip.
    """

    def __init__(self, inner: int, d_state: int, dt_rank: int, directions: int = DIRECTIONS) -> None:
        super().__init__()
        self.dt_rank, self.d_state, self.directions = dt_rank, d_state, directions
        bound = 1 / math.sqrt(inner)  # what nn.Linear(inner, .) starts from
        self.x_proj = nn.Parameter(
            torch.empty(directions, dt_rank + 2 * d_state, inner).uniform_(-bound, bound)
        )
        self.dt_weight = nn.Parameter(
            torch.empty(directions, inner, dt_rank).uniform_(-(dt_rank**-0.5), dt_rank**-0.5)
        )
        log_dt = torch.empty(directions, inner).uniform_(math.log(DT_MIN), math.log(DT_MAX))
        dt = log_dt.exp().clamp(min=DT_FLOOR)
        inverse_softplus = dt + torch.log(-torch.expm1(-dt))
        self.dt_bias = undecayed(nn.Parameter(inverse_softplus))
        states = torch.arange(1, d_state + 1, dtype=torch.float32)
        self.A_log = undecayed(nn.Parameter(states.log().repeat(directions, inner, 1)))
        self.D = undecayed(nn.Parameter(torch.ones(directions, inner)))

    @property
    def A(self) -> Tensor:
        """The state matrix's diagonal ``(K, I, N)``, float32, negative."""
        return -self.A_log.float().exp()

    def project(self, u_BHWI: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return dt ``(B, H, W, K, R)``, B and C ``(B, H, W, K, N)`` of each position and direction."""
        rows = map_linear(u_BHWI, self.x_proj.flatten(0, 1)).unflatten(-1, (self.directions, -1))
        dt, B, C = rows.split((self.dt_rank, self.d_state, self.d_state), dim=-1)
        return dt, B, C

    def project_B(self, u_BHWI: Tensor) -> Tensor:
        """Return only B ``(B, H, W, K, N)``."""
        rows = self.x_proj[:, self.dt_rank : self.dt_rank + self.d_state]
        return map_linear(u_BHWI, rows.flatten(0, 1)).unflatten(-1, (self.directions, -1))
