"""A frozen CLIP image encoder from open_clip, with weights from a file, the cache or the internet."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.encoder import Encoder
from m3amba_zoo.registry import BACKBONES
from m3amba_zoo.system import OFFLINE_VARIABLE, is_offline

RANDOM, OPENAI = "random", "openai"
# names of open_clip's own downloads in the cache, best first
CACHED_FILES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)


@BACKBONES.register_module()
class ClipImageEncoder(Encoder):
    """The frozen image tower of an open_clip model.

    The global feature is the tower's embedding. The spatial one is the embedding of each patch: its token,
    through the tower's last normalisation and projection.

    Args:
        name: an open_clip model name (``open_clip.list_models()``), or the path of a model config ``.json``.
        weights: a file; or a tag of open_clip (``open_clip.list_pretrained()``), taken from the cache or
            downloaded; or ``random``, an untrained tower.
        seed: of the random weights.
        cache_dir: where open_clip keeps downloads; None for its default.

    Raises:
        InputError: if the name or tag is unknown, or the weights cannot be found, downloaded or read.
    """

    def __init__(
        self,
        name: str = "ViT-B-32-quickgelu",
        weights: str = "openai",
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        import open_clip

        if name.endswith(".json"):
            if not Path(name).is_file():
                raise InputError(f"{name}: no such open_clip model config")
            open_clip.add_model_config(Path(name))
            name = Path(name).stem
        if name not in open_clip.list_models():
            raise InputError(f"open_clip has no model '{name}'; open_clip.list_models() names them")
        if weights == RANDOM:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = open_clip.create_model(name)
            description = f"{name}, randomly initialised (seed {seed}): not a trained CLIP"
        else:
            path, origin = _find_weights(name, weights, cache_dir)
            try:
                model = open_clip.create_model(name, pretrained=str(path))
            except Exception as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{path}: not weights of the open_clip model '{name}' ({reason})") from error
            description = f"{name}, weights {weights} from {origin}"
        print_log(f"CLIP image encoder: {description}", "current", logging.INFO)
        tower = model.visual
        size = tower.image_size
        super().__init__(
            network=tower,
            description=description,
            licence="MIT" if weights == OPENAI else None,
            feature_dim=tower.output_dim,
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
        maps = self.network.forward_intermediates(
            x_BCHW, 1, normalize_intermediates=True, intermediates_only=True
        )["image_intermediates"][-1]
        tokens = maps.permute(0, 2, 3, 1)
        return self._project(tokens).permute(0, 3, 1, 2)

    def _project(self, tokens: Tensor) -> Tensor:
        """Map a tower's last tokens ``(..., width)`` to its embedding space ``(..., F)``."""
        tower = self.network
        if getattr(tower, "attn_pool", None) is None and hasattr(tower, "ln_post"):  # a ViT
            return tokens if tower.proj is None else tokens @ tower.proj
        if hasattr(tower, "attnpool"):  # CLIP's ResNet; a patch alone gives the pool its own value
            return tower.attnpool.c_proj(tower.attnpool.v_proj(tokens))
        if hasattr(tower, "trunk") and not hasattr(tower.head, "pool"):  # of timm
            return tower.head(tokens)
        raise InputError(
            f"{self.description}: this tower pools its patches by attention, and they have no embedding of "
            "their own; expected prior='global'"
        )


def _find_weights(name: str, weights: str, cache_dir: str | None) -> tuple[Path, str]:
    """Return the weights' file and its origin: a path, the cache or the network, tried in this order."""
    import open_clip
    from huggingface_hub import try_to_load_from_cache

    if Path(weights).is_file():
        return Path(weights), "a file"
    tags = open_clip.list_pretrained_tags_by_model(name)
    if weights not in tags:
        raise InputError(
            f"CLIP weights '{weights}': neither a file nor a tag of the open_clip model '{name}' "
            f"(tags: {', '.join(tags) or 'none'})"
        )
    config = open_clip.get_pretrained_cfg(name, weights)
    repository, file = os.path.split(config.get("hf_hub", ""))
    for candidate in filter(None, (file, *CACHED_FILES)) if repository else ():
        cached = try_to_load_from_cache(repository, candidate, cache_dir=cache_dir)
        if isinstance(cached, str):
            return Path(cached), "the cache"
    what = f"CLIP weights '{weights}' of '{name}' are not in the cache"
    hint = "give a file as weights=..., or weights='random' for an untrained encoder"
    if is_offline():
        raise InputError(f"{what} and {OFFLINE_VARIABLE}=1 forbids fetching them; {hint}")
    try:
        return Path(open_clip.download_pretrained(config, cache_dir=cache_dir)), "the network"
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{what} and could not be fetched ({reason[:200]}); {hint}") from error
