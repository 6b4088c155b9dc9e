"""Class names through the text side of a CLIP model, and what its image side makes of them untrained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.encoders.clip_loading import OPENAI, load_clip

PROMPT = "an aerial image of {}"
CLIP_SCALE = 100.0  # at which CLIP's training caps the scale of its cosines


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
