"""Frozen CLIP image encoders of open_clip, and class names through the text side of a CLIP model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.clip_loading import OPENAI, load_clip
from m3amba_zoo.models.encoders.encoder import AUTO, ImageEncoder, resized_positions
from m3amba_zoo.registry import BACKBONES

POSITIONS = "positional_embedding"  # of a ViT, or of the pooling of CLIP's ResNet
RESNET_STRIDE = 32
PROMPT = "an aerial image of {}"
CLIP_SCALE = 100.0  # at which CLIP's training caps the scale of its cosines


@BACKBONES.register_module()
class ClipImageEncoder(ImageEncoder):
    """The frozen image tower of an open_clip model.

    The global feature is the tower's embedding. The spatial one is the embedding of each patch: its token,
    through the tower's last normalisation and projection. Images of another size than the tower's are
    encoded with its positional embeddings interpolated.

    Args:
        name: an open_clip model name (``open_clip.list_models()``), or the path of a model config ``.json``.
        weights: a file, or a folder with one, in any of the layouts of ``clip_layouts.py``, at this path or
            in ``$M3AMBA_WEIGHTS``; or a tag of open_clip (``open_clip.list_pretrained()``), taken from the
            caches or downloaded; or ``random``, an untrained tower.
        seed: of the random weights.
        cache_dir: where open_clip keeps downloads; None for its default.
        rgb, precision: as for every ``ImageEncoder``.

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
        rgb: Sequence[float] | None = None,
        precision: str = AUTO,
    ) -> None:
        clip = load_clip(name, weights, seed, cache_dir)
        size = clip.model.visual.image_size
        super().__init__(
            network=clip.model.visual,
            description=clip.description,
            licence=clip.licence,
            feature_dim=clip.feature_dim,
            image_size=size[0] if isinstance(size, tuple) else size,
            mean=clip.mean,
            std=clip.std,
            rgb=rgb,
            precision=precision,
            weights_file=clip.path,
        )
        self._resized: dict[int, Any] = {}

    def embed(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F)``.

        Raises:
            InputError: if the tower does not take images of this size.
        """
        return self._tower_for(image_B3GG)(image_B3GG)

    def embed_patches(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F, h, w)``.

        Raises:
            InputError: if the tower does not take images of this size, or its patches have no embedding of
                their own.
        """
        project = self._projection()
        taken = self._tower_for(image_B3GG).forward_intermediates(
            image_B3GG, 1, normalize_intermediates=True, intermediates_only=True
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

    def _tower_for(self, image_B3GG: Tensor) -> Any:
        """Return the tower for images of a size; it shares all weights but the positional embeddings."""
        tower, side = self.network, image_B3GG.shape[-1]
        if side == self.side:
            return tower
        if side in self._resized:
            return self._resized[side]
        holder: Any = tower if hasattr(tower, POSITIONS) else getattr(tower, "attnpool", None)
        stride = tower.patch_size[0] if holder is tower else RESNET_STRIDE
        if holder is None or side % stride:
            expected = f"a multiple of {stride}" if holder is not None else f"{self.side}"
            raise InputError(f"{self.description}: image_size is {side} pixels, expected {expected}")
        resized = copy.copy(holder)
        positions = resized_positions(getattr(holder, POSITIONS).detach(), side // stride)
        resized._parameters = {**holder._parameters, POSITIONS: nn.Parameter(positions, requires_grad=False)}
        if holder is not tower:
            whole = copy.copy(tower)
            whole._modules = {**tower._modules, "attnpool": resized}
            resized = whole
        self._resized[side] = resized
        return resized

    def _apply(self, fn: Any, recurse: bool = True) -> ClipImageEncoder:
        self._resized.clear()  # made again, of the weights that are moved now
        super()._apply(fn, recurse)
        return self


def text_features(
    classes: Sequence[str],
    prompts: Sequence[str] | str = PROMPT,
    name: str = "ViT-B-32-quickgelu",
    weights: str = OPENAI,
    seed: int = 0,
    cache_dir: str | None = None,
) -> Tensor:
    """Return the features of class names ``(K, F)`` of length 1.

    Args:
        classes: K names, as one would say them.
        prompts: a sentence or several with ``{}`` for the name; the mean of their features is taken.
        name: of the model, as for ``ClipImageEncoder``, like what follows.
        weights: of both sides.
        seed: of random weights.
        cache_dir: of downloads.

    Raises:
        InputError: if there are no classes, a prompt has no ``{}``, the weights have no text side, the
            tokenizer gives tokens that the model lacks, or as ``ClipImageEncoder``.
    """
    prompts = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    if isinstance(classes, str) or not classes:
        raise InputError(f"classes is {classes!r}, expected a list of names")
    if bad := [prompt for prompt in prompts if "{}" not in prompt]:
        raise InputError(f"prompt '{bad[0]}' has no {{}} for the class's name, expected one like '{PROMPT}'")
    return _features(tuple(map(str, classes)), prompts, name, weights, seed, cache_dir).clone()


def zero_shot(features: Tensor, texts_KF: Tensor) -> Tensor:
    """Return logits without any training: cosines of images' and texts' features, times CLIP's scale.

    Args:
        features: of images, ``(B, F)``, or of their patches, ``(B, F, h, w)``.
        texts_KF: as ``text_features`` returns them, of the same model.

    Returns:
        ``(B, K)`` or ``(B, K, h, w)``.
    """
    return CLIP_SCALE * torch.einsum("bf...,kf->bk...", F.normalize(features, dim=1), texts_KF.to(features))


@lru_cache(maxsize=4)  # the heads of one model ask for the same
@torch.no_grad()
def _features(
    classes: tuple[str, ...],
    prompts: tuple[str, ...],
    name: str,
    weights: str,
    seed: int,
    cache_dir: str | None,
) -> Tensor:
    import open_clip

    clip = load_clip(name, weights, seed, cache_dir)
    if not clip.has_text:
        raise InputError(f"{clip.path}: has no text side of '{clip.name}', expected a whole CLIP model")
    try:
        tokenize = open_clip.get_tokenizer(clip.name)
    except Exception as error:  # some models have a tokenizer of transformers, which may be absent
        raise InputError(f"open_clip has no tokenizer for '{clip.name}' here ({error})") from error
    model = clip.model.eval()
    tokens = [tokenize([prompt.replace("{}", label) for label in classes]) for prompt in prompts]
    if (largest := max(int(of_prompt.max()) for of_prompt in tokens)) >= model.vocab_size:
        raise InputError(
            f"'{clip.name}' knows {model.vocab_size} tokens, but its tokenizer gave number {largest}; "
            "expected a model whose vocab_size is that of its tokenizer"
        )
    of_prompts = [model.encode_text(of_prompt, normalize=True) for of_prompt in tokens]
    return F.normalize(torch.stack(of_prompts).mean(0), dim=-1)
