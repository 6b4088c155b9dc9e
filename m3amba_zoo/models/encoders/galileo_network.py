"""The network of Galileo (arXiv 2502.09356): tokens of groups of bands, each patch, under full attention.

A group is what one convolution embeds, such as red, green and blue of Sentinel-2. A patch of p x p pixels has
one token for each group that is there. To each token are added, side by side, an embedding of its group, of
its time step, of its month and of its place, D / 4 numbers each; tokens of elevation have no time and month.
The feature of a patch is the mean over its tokens after the last norm.

Parameters are named as in the authors' checkpoints, so that these load as they are. One time step is
encoded; the groups that describe weather, places and maps are left out.

Shape suffixes: B batch, H and W rows and columns of pixels, C bands of a group, D length of a token, h and w
rows and columns of patches, N tokens of a window, E = D / 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SPACE_TIME = {
    "S1": ("VV", "VH"),
    "S2_RGB": ("B2", "B3", "B4"),
    "S2_Red_Edge": ("B5", "B6", "B7"),
    "S2_NIR_10m": ("B8",),
    "S2_NIR_20m": ("B8A",),
    "S2_SWIR": ("B11", "B12"),
    "NDVI": ("NDVI",),
}
SPACE = {"SRTM": ("elevation", "slope")}
"""The bands of each group; ``SRTM`` is the first of three groups of space in the checkpoints."""
SPACE_GROUPS = 3
TIME_STEPS, MONTHS = 24, 12
METRES = 10.0
"""The size of a pixel for which places are counted in pixels."""


class GalileoSize(NamedTuple):
    """What a Galileo network is made of.

    Attributes:
        dim: D, a multiple of 16.
        depth: number of blocks.
        heads: of attention.
        ratio: hidden units of a block's MLP by D.
        kernel: rows and columns of the patch embeddings' kernels, the largest patch.
    """

    dim: int
    depth: int
    heads: int
    ratio: int = 4
    kernel: int = 8


class GalileoNetwork(nn.Module):
    """The encoder of Galileo for one time step, with random weights.

    Args:
        size: of the network.
    """

    def __init__(self, size: GalileoSize) -> None:
        super().__init__()
        self.size, quarter = size, size.dim // 4
        self.space_time_embed = nn.ModuleDict(
            {group: PatchEmbed(len(bands), size) for group, bands in SPACE_TIME.items()}
        )
        self.space_embed = nn.ModuleDict(
            {group: PatchEmbed(len(bands), size) for group, bands in SPACE.items()}
        )
        self.s_t_channel_embed = nn.Parameter(0.02 * torch.randn(len(SPACE_TIME), quarter))
        self.sp_channel_embed = nn.Parameter(0.02 * torch.randn(SPACE_GROUPS, quarter))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(TIME_STEPS, quarter))
        self.month_embed = nn.Embedding(MONTHS, quarter)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.depth))
        self.norm = nn.LayerNorm(size.dim)

    def forward(
        self, groups: Mapping[str, Tensor], month_B: Tensor, patch: int, metres: float = METRES
    ) -> Tensor:
        """Encode windows.

        Args:
            groups: normalised bands ``(B, C, H, W)`` of each group that is there, by its name.
            month_B: of acquisition, int64, 0 to 11.
            patch: p; H and W are multiples of it.
            metres: rows and columns of a pixel on the ground.

        Returns:
            ``(B, D, h, w)``.
        """
        quarter = self.size.dim // 4
        month_BE = self.month_embed(month_B)
        tokens = []
        for embeds, channels in (
            (self.space_time_embed, self.s_t_channel_embed),
            (self.space_embed, self.sp_channel_embed),
        ):
            for index, (group, embed) in enumerate(embeds.items()):
                if group not in groups:
                    continue
                x_BDhw = embed(groups[group], patch)
                batch, _, rows, columns = x_BDhw.shape
                of_time = torch.zeros_like(month_BE), torch.zeros_like(month_BE)
                if embeds is self.space_time_embed:
                    of_time = self.pos_embed[0].expand(batch, quarter), month_BE
                about = torch.cat([channels[index].expand(batch, quarter), *of_time], dim=1)
                place = places(rows, columns, quarter, patch * metres / METRES).to(x_BDhw)
                added = torch.cat(
                    [about[:, :, None, None].expand(-1, -1, rows, columns), place.expand(batch, -1, -1, -1)],
                    dim=1,
                )
                tokens.append(x_BDhw + added)
        x_BND = torch.stack(tokens, dim=1).permute(0, 1, 3, 4, 2).flatten(1, 3)
        for block in self.blocks:
            x_BND = block(x_BND)
        x_BND = self.norm(x_BND)
        return x_BND.unflatten(1, (len(tokens), rows, columns)).mean(1).permute(0, 3, 1, 2)


class PatchEmbed(nn.Module):
    """A convolution whose kernel has the size of its stride, at any patch size up to the kernel's own.

    Args:
        bands: C.
        size: of the network.
    """

    def __init__(self, bands: int, size: GalileoSize) -> None:
        super().__init__()
        self.proj = nn.Conv2d(bands, size.dim, size.kernel, size.kernel)
        nn.init.xavier_uniform_(self.proj.weight.data.view(size.dim, -1))
        nn.init.zeros_(self.proj.bias)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor, patch: int) -> Tensor:
        """Return one token per patch ``(B, D, h, w)``."""
        weight = self.proj.weight
        kernel = weight.shape[-1]
        if patch != kernel:
            flat = weight.flatten(2).double() @ kernel_resizing(kernel, patch).to(weight.device).T
            weight = flat.to(weight.dtype).unflatten(2, (patch, patch))
        return F.conv2d(x_BCHW, weight, self.proj.bias, stride=patch)


class Block(nn.Module):
    """``x + attn(norm1 x)``, then ``x + mlp(norm2 x)``."""

    def __init__(self, size: GalileoSize) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size.dim), nn.LayerNorm(size.dim)
        self.attn = Attention(size)
        self.mlp = Mlp(size)

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return ``(B, N, D)``."""
        x_BND = x_BND + self.attn(self.norm1(x_BND))
        return x_BND + self.mlp(self.norm2(x_BND))


class Attention(nn.Module):
    """Attention of all tokens of a window to each other."""

    def __init__(self, size: GalileoSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.q, self.k, self.v, self.proj = (_linear(size.dim, size.dim) for _ in range(4))

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return ``(B, N, D)``."""
        q, k, v = (
            layer(x_BND).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, size: GalileoSize) -> None:
        super().__init__()
        self.fc1, self.fc2 = (
            _linear(size.dim, size.ratio * size.dim),
            _linear(size.ratio * size.dim, size.dim),
        )

    def forward(self, x_BND: Tensor) -> Tensor:
        """Return ``(B, N, D)``."""
        return self.fc2(F.gelu(self.fc1(x_BND)))


def _linear(given: int, wanted: int) -> nn.Linear:
    layer = nn.Linear(given, wanted)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def kernel_resizing(kernel: int, patch: int) -> Tensor:
    """Return the matrix ``(p p, k k)`` that takes a flat kernel of k x k to one of p x p (arXiv 2212.08013).

    It is the pseudo-inverse of the resizing of images from k x k to p x p, so that the small kernel gives a
    small image what the large one gives the image that it was resized from.
    """
    units = torch.eye(kernel * kernel, dtype=torch.float64).view(-1, 1, kernel, kernel)
    resized = F.interpolate(units, size=(patch, patch), mode="bicubic", antialias=True, align_corners=False)
    return torch.linalg.pinv(resized.flatten(1))


def places(rows: int, columns: int, length: int, step: float) -> Tensor:
    """Return the embedding of places ``(length, rows, columns)``.

    It is sine and cosine of the column, then of the row, each times ``step``, a patch in pixels of 10 m. The
    frequencies are those of the authors' code, 10000 ** -(k / length) for k below ``length / 4``.
    """
    frequencies = 10000.0 ** -(torch.arange(length // 4, dtype=torch.float64) / length)
    down = (torch.arange(rows) * step * frequencies[:, None])[:, :, None].expand(-1, -1, columns)
    across = (torch.arange(columns) * step * frequencies[:, None])[:, None, :].expand(-1, rows, -1)
    return torch.cat([across.sin(), across.cos(), down.sin(), down.cos()]).float()
