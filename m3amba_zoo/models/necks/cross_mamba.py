"""The fusion network of M3amba (arXiv 2503.06446): one stream a modality and a fused one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.blocks import Block, CrossBlock
from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.registry import NECKS

FUSED = "fused"
CROSS, SUM, CONCAT = "cross", "sum", "concat"


@NECKS.register_module()
class CrossMamba(nn.Module):
    """Layers of CrossBlocks, one a modality, around a fused stream.

    Layer i, for each modality m: ``x_m <- CrossBlock_m(x_m, z)``; then ``z <- Block_z(sum of x_m)``,
    which replaces z (DESIGN section 4).

    Args:
        modalities: names of the streams.
        embed_dim: E.
        depth: number of layers.
        d_state: N.
        drop_path: rate of the last layer; it rises linearly from 0.
        fusion: ``cross`` is M3amba's. For ablation, streams of plain SS2D that never read z: ``sum`` makes z
            of their sum as M3amba does, ``concat`` of a linear map of them side by side.
        checkpointing: whether training keeps no more of a block than its inputs and runs it again in the
            backward pass (arXiv 1604.06174): the same gradients, for less memory and more time.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        embed_dim: int = 384,
        depth: int = 9,
        d_state: int = 16,
        drop_path: float = 0.1,
        fusion: str = CROSS,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if fusion not in (CROSS, SUM, CONCAT):
            raise InputError(f"CrossMamba: fusion is '{fusion}', expected '{CROSS}', '{SUM}' or '{CONCAT}'")
        self.fusion, self.checkpointing = fusion, checkpointing
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        block = CrossBlock if fusion == CROSS else Block
        self.streams = nn.ModuleDict(
            {m: nn.ModuleList(block(embed_dim, d_state, rate) for rate in rates) for m in modalities}
        )
        if fusion == CONCAT:
            width = len(modalities) * embed_dim
            self.joins = nn.ModuleList(MapLinear(width, embed_dim) for _ in rates)
        self.fused = nn.ModuleList(Block(embed_dim, d_state, rate) for rate in rates)
        self.apply(_init)

    def forward(self, tokens: Mapping[str, Tensor], prior_BHWE: Tensor) -> dict[str, Tensor]:
        """Fuse the streams.

        Args:
            tokens: ``(B, H, W, E)`` by modality.
            prior_BHWE: z_0, the sum of the modalities' priors.

        Returns:
            ``(B, H, W, E)`` by modality and under ``fused``.
        """
        x, z = dict(tokens), prior_BHWE
        for index, fuse in enumerate(self.fused):
            for modality, blocks in self.streams.items():
                read = (x[modality], z) if self.fusion == CROSS else (x[modality],)
                x[modality] = self._run(cast(nn.ModuleList, blocks)[index], *read)
            z = self._run(fuse, self._join(index, list(x.values())))
        return {**x, FUSED: z}

    def _join(self, index: int, streams_BHWE: Sequence[Tensor]) -> Tensor:
        if self.fusion == CONCAT:
            return self.joins[index](torch.cat(tuple(streams_BHWE), dim=-1))
        return torch.stack(tuple(streams_BHWE)).sum(0)

    def _run(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            # DropPath draws the same samples again: the state of the random numbers is kept
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


def _init(module: nn.Module) -> None:
    """Start linear layers from a truncated normal of 0.02 (LayerNorm keeps 1 and 0)."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
