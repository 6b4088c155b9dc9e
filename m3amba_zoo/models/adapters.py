"""Adapters: layers that turn one modality into tokens and a semantic prior.

M3amba's adapter (arXiv 2503.06446) surrounds a frozen CLIP image encoder. For a modality x_m with C_m bands:

    pseudo_rgb = Conv1x1(C_m -> 3)(x_m), resized bicubically to the encoder's G x G pixels
    f_m        = encoder(pseudo_rgb)                                      (B, F)
    prior_m    = LayerNorm(Conv1x1(C_m -> E)(Conv1x1(1 -> C_m)(Linear(F -> S S)(f_m))))
    token_m    = LayerNorm(Conv1x1(C_m -> E)(x_m))                        (B, S, S, E)

Without an encoder's feature the tokens also serve as the prior. Options of ``ClipAdapter`` take the patches'
features (B, F, h, w) in place of f_m, or bands as they are in place of the convolution to pseudo-RGB. Where a
modality's bands are features of the pixels that a frozen encoder gave, ``FeaturePrior`` makes M3amba's prior
z_0 of them.

Shape suffixes: B batch, C bands after pretreatment, S rows and columns of a window, H and W rows and
columns, E embed_dim, F length of the encoder's feature, h and w its patches, G side of the encoder's image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.axes import reads_bands, writes_bands
from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.registry import ADAPTERS

GLOBAL, SPATIAL = "global", "spatial"
LEARNED, FIRST = "learned", "first"


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
        normalise: whether the image to encode gets the mean and deviation of the encoder's training.
        spatial: whether it reads the encoder's patches, ``(B, F, h, w)``, and not one feature of the window.
    """

    uses_encoder: ClassVar[bool] = False
    normalise = spatial = False

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
            feature_BF: the encoder's feature ``(B, F)``, or ``(B, F, h, w)`` if ``spatial``; or None.
        """


@ADAPTERS.register_module()
class ClipAdapter(Adapter):
    """M3amba's adapter: trained layers before and after the frozen encoder, which the classifier runs.

    Args:
        in_channels, embed_dim, window: as for every adapter.
        feature_dim: F, length of the encoder's feature (512 for ViT-B/32). None builds no layers of a prior:
            in a model without an encoder nothing reads them, and processes that train together wait for a
            gradient of every parameter.
        image_size: G, side of the image to encode in pixels; the encoder's by default (224). A smaller one
            costs less; a multiple of the encoder's patches (32). None builds no pseudo-RGB layer: the model
            then has no encoder, and gets precomputed features or none.
        prior: ``global`` maps the window's feature to the prior, as in the paper. ``spatial`` maps each
            patch's feature, and resizes the result bilinearly to the window.
        pseudo_rgb: ``learned`` is the paper's convolution, which trains through the encoder. ``first`` takes
            the first three bands after pretreatment (PCA's first components, if that is the pretreatment), of
            fewer bands some twice; then no gradient passes through the encoder.
        normalise: whether the pseudo-RGB image gets the mean and deviation of the encoder's training; in the
            paper's code it does not.

    Raises:
        InputError: if ``prior`` or ``pseudo_rgb`` is something else.
    """

    uses_encoder = True

    def __init__(
        self,
        in_channels: int,
        embed_dim: int,
        window: int,
        feature_dim: int | None = None,
        image_size: int | None = None,
        prior: str = GLOBAL,
        pseudo_rgb: str = LEARNED,
        normalise: bool = False,
    ) -> None:
        super().__init__(in_channels, embed_dim, window)
        for option, value, known in (
            ("prior", prior, (GLOBAL, SPATIAL)),
            ("pseudo_rgb", pseudo_rgb, (LEARNED, FIRST)),
        ):
            if value not in known:
                raise InputError(f"ClipAdapter: {option} is '{value}', expected '{known[0]}' or '{known[1]}'")
        self.image_size, self.normalise, self.spatial = image_size, normalise, prior == SPATIAL
        learned = image_size is not None and pseudo_rgb == LEARNED
        self.pseudo_rgb = reads_bands(nn.Conv2d(in_channels, 3, 1)) if learned else None
        self.has_prior = feature_dim is not None
        if feature_dim is not None and self.spatial:
            self.prior_embed: nn.Module = PatchEmbed(feature_dim, embed_dim)
        elif feature_dim is not None:
            self.prior_map = nn.Linear(feature_dim, window * window)
            nn.init.trunc_normal_(self.prior_map.weight, std=0.02)
            nn.init.zeros_(self.prior_map.bias)
            self.prior_bands = writes_bands(nn.Conv2d(1, in_channels, 1))
            self.prior_embed = ChannelLastEmbed(in_channels, embed_dim)
        self.token_embed = ChannelLastEmbed(in_channels, embed_dim)

    def encoder_input(self, x_BCSS: Tensor) -> Tensor | None:
        """Return the pseudo-RGB image ``(B, 3, G, G)``, resized bicubically (align_corners false)."""
        if self.image_size is None:
            return None
        if self.pseudo_rgb is not None:
            image = self.pseudo_rgb(x_BCSS)
        else:
            image = x_BCSS[:, [band % self.in_channels for band in range(3)]]
        size = (self.image_size, self.image_size)
        return F.interpolate(image, size=size, mode="bicubic", align_corners=False)

    def forward(self, x_BCSS: Tensor, feature_BF: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return tokens and prior, each ``(B, S, S, E)``; without a feature the tokens are both.

        Raises:
            InputError: if a feature is given and it has not the form that ``prior`` names, the window is not
                S x S (``global``), or the prior was not built.
        """
        token = self.token_embed(x_BCSS)
        if feature_BF is None:
            return token, token
        if not self.has_prior:
            raise InputError(
                "a feature of the encoder is given, but the adapter was built without feature_dim and has no "
                "layer that reads it"
            )
        if feature_BF.ndim != (4 if self.spatial else 2):
            expected = "(B, F, h, w) for prior='spatial'" if self.spatial else "(B, F) for prior='global'"
            raise InputError(f"a feature of shape {tuple(feature_BF.shape)} is given, expected {expected}")
        if self.spatial:
            return token, self.prior_embed(feature_BF, x_BCSS.shape[-2:])
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


class PatchEmbed(nn.Module):
    """``LayerNorm(resize(Conv1x1(F -> E)(x)))`` from ``(B, F, h, w)`` to ``(B, H, W, E)``, bilinearly."""

    def __init__(self, feature_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = MapLinear(feature_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x_BFhw: Tensor, size: tuple[int, int]) -> Tensor:
        """Return ``(B, H, W, E)``, H and W of ``size``."""
        patches = self.proj(x_BFhw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        resized = F.interpolate(patches, size=size, mode="bilinear", align_corners=False)
        return self.norm(resized.permute(0, 2, 3, 1))


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
