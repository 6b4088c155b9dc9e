"""What an adapter is: the layers that turn one modality into tokens and a prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Adapter(nn.Module, ABC):
    """Base of the adapters registered in ``ADAPTERS``; one is built for each modality.

    The classifier calls the constructor with ``in_channels``, ``embed_dim`` and ``window`` and whatever
    else the config gives.

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


class TokenAdapter(Adapter):
    """Base for adapters without an encoder: the tokens also serve as the prior. Define ``tokens``."""

    @abstractmethod
    def tokens(self, x_BCSS: Tensor) -> Tensor:
        """Return ``(B, S, S, E)``."""

    def forward(self, x_BCSS: Tensor, feature_BF: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the tokens, as tokens and as prior."""
        token = self.tokens(x_BCSS)
        return token, token
