"""The fusion network of M3amba (arXiv 2503.06446): one stream a modality and a fused one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from m3amba_zoo.models.blocks import Block, CrossBlock
from m3amba_zoo.registry import NECKS

FUSED = "fused"


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
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.checkpointing = checkpointing
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        self.streams = nn.ModuleDict(
            {m: nn.ModuleList(CrossBlock(embed_dim, d_state, rate) for rate in rates) for m in modalities}
        )
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
                x[modality] = self._run(cast(nn.ModuleList, blocks)[index], x[modality], z)
            z = self._run(fuse, torch.stack(list(x.values())).sum(0))
        return {**x, FUSED: z}

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
