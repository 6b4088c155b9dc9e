"""M3amba's adapter: tokens of one modality and its semantic prior from a frozen CLIP encoder."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.adapters.adapter import Adapter
from m3amba_zoo.models.embed import ChannelLastEmbed
from m3amba_zoo.registry import ADAPTERS


@ADAPTERS.register_module()
class ClipAdapter(Adapter):
    """Trained layers before and after the frozen encoder (arXiv 2503.06446; DESIGN section 4).

    ``pseudo_rgb = Conv1x1(C -> 3)(x)``; the classifier encodes it to ``f``; then
    ``prior = LN(Conv1x1(C -> E)(Conv1x1(1 -> C)(Linear(F -> S S)(f))))`` and
    ``token = LN(Conv1x1(C -> E)(x))``.

    Args:
        in_channels, embed_dim, window: as for every adapter.
        feature_dim: F, length of the encoder's feature (512 for ViT-B/32).
        image_size: side of the encoder's input (224); None builds no pseudo-RGB layer, for use without an
            encoder: with precomputed features, or with none.
    """

    uses_encoder = True

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        window: int,
        feature_dim: int = 512,
        image_size: int | None = None,
    ) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.image_size = image_size
        self.pseudo_rgb = nn.Conv2d(in_channels, 3, 1) if image_size else None
        self.prior_map = nn.Linear(feature_dim, window * window)
        nn.init.trunc_normal_(self.prior_map.weight, std=0.02)
        nn.init.zeros_(self.prior_map.bias)
        self.prior_bands = nn.Conv2d(1, in_channels, 1)
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
            InputError: a feature is given and the window is not S x S.
        """
        token = self.token_embed(x_BCSS)
        if feature_BF is None:
            return token, token
        if x_BCSS.shape[-2:] != (self.window, self.window):
            raise InputError(
                f"a window of {x_BCSS.shape[-2]} x {x_BCSS.shape[-1]} pixels was given, but the CLIP prior "
                f"was built for {self.window} x {self.window}"
            )
        prior = self.prior_map(feature_BF).view(-1, 1, self.window, self.window)
        return token, self.prior_embed(self.prior_bands(prior))
