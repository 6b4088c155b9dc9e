"""Adapters: layers that turn one modality into tokens and a semantic prior.

M3amba's adapter (arXiv 2503.06446) surrounds a frozen CLIP image encoder. For a modality x_m with C_m bands:

    pseudo_rgb = Conv1x1(C_m -> 3)(x_m), resized bicubically to the encoder's G x G pixels
    f_m        = encoder(pseudo_rgb)                                      (B, F)
    prior_m    = LayerNorm(Conv1x1(C_m -> E)(Conv1x1(1 -> C_m)(Linear(F -> S S)(f_m))))
    token_m    = LayerNorm(Conv1x1(C_m -> E)(x_m))                        (B, S, S, E)

Without an encoder's feature the tokens also serve as the prior.

Shape suffixes: B batch, C bands after pretreatment, S rows and columns of a window, H and W rows and
columns, E embed_dim, F length of the encoder's feature, G side of the encoder's image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import reads_bands, writes_bands
from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.registry import ADAPTERS


class Adapter(nn.Module, ABC):
    """Base of the adapters registered in ``ADAPTERS``; one is built per modality.

    The classifier calls the constructor with ``in_channels``, ``embed_dim`` and ``window``, and with the
    other keys of the adapter's config. Mark the layers that read bands (``axes.py``).

    Args:
        in_channels: C, bands of the modality after pretreatment.
        embed_dim: E, length of a token.
        window: S, rows and columns of a training window.

    Attributes:
        uses_encoder: whether the constructor takes the encoder's ``feature_dim`` and ``image_size``.
    """

    uses_encoder: ClassVar[bool] = False

    def __init__(self, in_channels: int, embed_dim: int, window: int) -> None:
        super().__init__()
        self.in_channels, self.embed_dim, self.window = in_channels, embed_dim, window

    def encoder_input(self, x_BCSS: Tensor) -> Tensor | None:
        """Return the image ``(B, 3, G, G)`` to encode, or None where the adapter uses no encoder."""
        return None

    @abstractmethod
    def forward(self, x_BCSS: Tensor, feature_BF: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return tokens and prior, each ``(B, S, S, E)``.

        Args:
            x_BCSS: the modality's bands ``(B, C, S, S)``.
            feature_BF: the encoder's feature ``(B, F)``, or None.
        """


@ADAPTERS.register_module()
class ClipAdapter(Adapter):
    """M3amba's adapter: trained layers before and after the frozen encoder, which the classifier runs.

    Args:
        in_channels, embed_dim, window: as for every adapter.
        feature_dim: F, length of the encoder's feature (512 for ViT-B/32). None builds no layers of a prior:
            in a model without an encoder nothing reads them, and processes that train together wait for a
            gradient of every parameter.
        image_size: G, side of the encoder's image in pixels (224). None builds no pseudo-RGB layer: the model
            then has no encoder, and gets precomputed features or none.
    """

    uses_encoder = True

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        window: int,
        feature_dim: int | None = None,
        image_size: int | None = None,
    ) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.image_size = image_size
        self.pseudo_rgb = reads_bands(nn.Conv2d(in_channels, 3, 1)) if image_size else None
        self.has_prior = feature_dim is not None
        if feature_dim is not None:
            self.prior_map = nn.Linear(feature_dim, window * window)
            nn.init.trunc_normal_(self.prior_map.weight, std=0.02)
            nn.init.zeros_(self.prior_map.bias)
            self.prior_bands = writes_bands(nn.Conv2d(1, in_channels, 1))
            self.prior_embed = ChannelLastEmbed(in_channels, embed_dim)
        self.token_embed = ChannelLastEmbed(in_channels, embed_dim)

    def encoder_input(self, x_BCSS: Tensor) -> Tensor | None:
        """Return the pseudo-RGB image ``(B, 3, G, G)``, resized bicubically (align_corners false)."""
        if self.pseudo_rgb is None or self.image_size is None:
            return None
        size = (self.image_size, self.image_size)
        return F.interpolate(self.pseudo_rgb(x_BCSS), size=size, mode="bicubic", align_corners=False)

    def forward(self, x_BCSS: Tensor, feature_BF: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return tokens and prior, each ``(B, S, S, E)``; without a feature the tokens are both.

        Raises:
            InputError: if a feature is given and the window is not S x S, or the prior was not built.
        """
        token = self.token_embed(x_BCSS)
        if feature_BF is None:
            return token, token
        if not self.has_prior:
            raise InputError(
                "a feature of the encoder is given, but the adapter was built without feature_dim and has no "
                "layer that reads it"
            )
        if x_BCSS.shape[-2:] != (self.window, self.window):
            raise InputError(
                f"a window of {x_BCSS.shape[-2]} x {x_BCSS.shape[-1]} pixels was given, but the CLIP prior "
                f"was built for {self.window} x {self.window}"
            )
        prior = self.prior_map(feature_BF).view(-1, 1, self.window, self.window)
        return token, self.prior_embed(self.prior_bands(prior))


class TokenAdapter(Adapter):
    """Base for adapters without an encoder: the tokens also serve as the prior. Define ``tokens``."""

    @abstractmethod
    def tokens(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, S, S, E)``."""

    def forward(self, x_BCSS: Tensor, feature_BF: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the tokens, as tokens and as prior."""
        token = self.tokens(x_BCSS)
        return token, token


@ADAPTERS.register_module()
class LinearAdapter(TokenAdapter):
    """``LayerNorm(Conv1x1(C -> E)(x))``: M3amba's tokens without its CLIP prior."""

    def __init__(self, in_channels: int, embed_dim: int, window: int) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.token_embed = ChannelLastEmbed(in_channels, embed_dim)

    def tokens(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, S, S, E)``."""
        return self.token_embed(x_BCSS)


class ChannelLastEmbed(nn.Module):
    """``LayerNorm(Conv1x1(C -> E)(x))`` from ``(B, C, H, W)`` to ``(B, H, W, E)``.

    The convolution is a Linear on the last axis, which is what a 1 x 1 convolution computes.
    """

    def __init__(self, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = reads_bands(MapLinear(in_channels, embed_dim))
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return ``(B, H, W, E)``."""
        return self.norm(self.proj(x_BCHW.permute(0, 2, 3, 1)))
