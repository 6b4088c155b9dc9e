"""M3amba's semantic prior z_0 from a modality whose bands are a frozen encoder's features of the pixels.

Shape suffixes: B batch, F features after pretreatment, S rows and columns of a window, E embed_dim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.adapters import ChannelLastEmbed
from m3amba_zoo.models.axes import reads_bands, writes_bands

SPATIAL, GLOBAL = "spatial", "global"


def prior_modality(prior: Mapping[str, Any], in_channels: Mapping[str, int], encoder: Any = None) -> str:
    """Return the modality that gives the prior.

    Args:
        prior: its config.
        in_channels: bands by modality of the model.
        encoder: the model's own, or None.

    Raises:
        InputError: if the model does not read it, has no other modality, or has an encoder, too.
    """
    modality = str(prior.get("modality"))
    if modality not in in_channels or len(in_channels) < 2:
        raise InputError(
            f"model.prior is of the modality '{modality}', but the model reads {', '.join(in_channels)}; "
            "expected one of them, and others for the streams"
        )
    if encoder:
        raise InputError("model.prior and model.encoder are both given, expected one: z_0 has one origin")
    return modality


class FeaturePrior(nn.Module):
    """The fused stream's start from features of the pixels.

    ``spatial`` gives each pixel its own: ``LayerNorm(Conv1x1(F -> E)(x))``. ``global`` takes their mean over
    the window on the path of the paper (arXiv 2503.06446), on which CLIP's feature of the window goes:
    ``LayerNorm(Conv1x1(F -> E)(Conv1x1(1 -> F)(Linear(F -> S S)(mean))))``.

    Args:
        in_channels: F.
        embed_dim: E.
        window: S.
        kind: ``spatial`` or ``global``.

    Raises:
        InputError: if there is no such kind.
    """

    def __init__(self, in_channels: int, embed_dim: int, window: int, kind: str = SPATIAL) -> None:
        super().__init__()
        if kind not in (SPATIAL, GLOBAL):
            raise InputError(f"FeaturePrior: kind is '{kind}', expected '{SPATIAL}' or '{GLOBAL}'")
        self.kind, self.window = kind, window
        if kind == GLOBAL:
            self.map = reads_bands(nn.Linear(in_channels, window * window))
            nn.init.trunc_normal_(self.map.weight, std=0.02)
            nn.init.zeros_(self.map.bias)
            self.bands = writes_bands(nn.Conv2d(1, in_channels, 1))
        self.embed = ChannelLastEmbed(in_channels, embed_dim)

    def forward(self, x_BFSS: Tensor) -> Tensor:
        """Return z_0 ``(B, S, S, E)``.

        Raises:
            InputError: if the kind is ``global`` and the window is not S x S.
        """
        if self.kind == SPATIAL:
            return self.embed(x_BFSS)
        if x_BFSS.shape[-2:] != (self.window, self.window):
            raise InputError(
                f"a window of {x_BFSS.shape[-2]} x {x_BFSS.shape[-1]} pixels was given, but the global prior "
                f"was built for {self.window} x {self.window}"
            )
        prior_B1SS = self.map(x_BFSS.mean((2, 3))).view(-1, 1, self.window, self.window)
        return self.embed(self.bands(prior_B1SS))
