"""Frozen CLIP image encoders of open_clip."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mmengine.logging import print_log
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.clip_loading import load_clip
from m3amba_zoo.models.encoders.encoder import Encoder
from m3amba_zoo.registry import BACKBONES


@BACKBONES.register_module()
class ClipImageEncoder(Encoder):
    """The frozen image tower of an open_clip model.

    The global feature is the tower's embedding. The spatial one is the embedding of each patch: its token,
    through the tower's last normalisation and projection.

    Args:
        name: an open_clip model name (``open_clip.list_models()``), or the path of a model config ``.json``.
        weights: a file, or a folder with one, in any of the layouts of ``clip_layouts.py``, at this path or
            in ``$M3AMBA_WEIGHTS``; or a tag of open_clip (``open_clip.list_pretrained()``), taken from the
            caches or downloaded; or ``random``, an untrained tower.
        seed: of the random weights.
        cache_dir: where open_clip keeps downloads; None for its default.

    Raises:
        InputError: if the name or tag is unknown, the weights cannot be found, downloaded or read, or they
            are of another architecture.
    """

    def __init__(
        self,
        name: str = "ViT-B-32-quickgelu",
        weights: str = "openai",
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        clip = load_clip(name, weights, seed, cache_dir)
        print_log(f"CLIP image encoder: {clip.description}", "current", logging.INFO)
        tower = clip.model.visual
        size = tower.image_size
        super().__init__(
            network=tower,
            description=clip.description,
            licence=clip.licence,
            feature_dim=clip.feature_dim,
            image_size=size[0] if isinstance(size, tuple) else size,
        )

    def forward(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F)``."""
        return self.network(x_BCHW)

    def patches(self, x_BCHW: Tensor, month: Tensor | None = None, metres: float | None = None) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F, h, w)``.

        Raises:
            InputError: if the tower's patches have no embedding of their own.
        """
        project = self._projection()
        taken = self.network.forward_intermediates(
            x_BCHW, 1, normalize_intermediates=True, intermediates_only=True
        )
        return project(taken["image_intermediates"][-1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _projection(self) -> Callable[[Tensor], Tensor]:
        """Return the map from last tokens ``(..., width)`` to the embedding space ``(..., F)``."""
        tower = self.network
        if hasattr(tower, "ln_post") and tower.attn_pool is None:  # a ViT
            return lambda tokens: tokens @ tower.proj
        if hasattr(tower, "attnpool"):  # CLIP's ResNet; a patch alone gives the pool its own value
            return lambda tokens: tower.attnpool.c_proj(tower.attnpool.v_proj(tokens))
        if hasattr(tower, "trunk") and not hasattr(tower.head, "pool"):  # of timm
            return tower.head
        raise InputError(
            f"{self.description}: this tower pools its patches by attention, and they have no embedding of "
            "their own; expected prior='global'"
        )
