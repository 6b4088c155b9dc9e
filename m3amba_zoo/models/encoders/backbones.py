"""Frozen image backbones of timm and mmpretrain."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.models.encoders.encoder import AUTO, ImageEncoder
from m3amba_zoo.models.encoders.files import (
    FILE_NAMES,
    RANDOM,
    fetching,
    hub_file,
    load_network,
)
from m3amba_zoo.registry import BACKBONES, MODELS

PRETRAINED = "pretrained"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@BACKBONES.register_module()
class TimmEncoder(ImageEncoder):
    """A frozen backbone of timm.

    The spatial feature is the network's last map or its last tokens, normalised. The global one is what timm
    gives the classifier, or the mean of the map where that has another length.

    Args:
        name: a model of ``timm.list_models()``, with a tag or without.
        weights: ``pretrained``, those of the tag from the cache or the network; a file, or a folder with one,
            at this path or in ``$M3AMBA_WEIGHTS``; or ``random``.
        seed: of random weights.
        cache_dir: of huggingface_hub; None for its default.
        rgb, precision: as for every ``ImageEncoder``.

    Raises:
        InputError: if there is no such model, it has no map, or its weights cannot be found, fetched or read.
    """

    def __init__(
        self,
        name: str = "",
        weights: str = PRETRAINED,
        seed: int = 0,
        cache_dir: str | None = None,
        rgb: Sequence[float] | None = None,
        precision: str = AUTO,
    ) -> None:
        import timm

        _check_timm(name)
        network = _seeded(lambda: _timm_network(name), seed)
        if not hasattr(network, "forward_intermediates"):
            raise InputError(
                f"TimmEncoder: timm's '{name}' has no forward_intermediates, which gives its map"
            )
        facts = timm.get_pretrained_cfg(name)
        size = facts.input_size[-1] if facts else 224
        path, origin = None, ""
        if weights != RANDOM:
            if weights == PRETRAINED:
                what = f"weights of timm's '{name}'"
                if facts is None or not facts.hf_hub_id:
                    raise InputError(f"{what}: timm names none; expected a file or '{RANDOM}' as weights")
                path, origin = hub_file(what, facts.hf_hub_id, FILE_NAMES, cache_dir)
            classifier = facts.classifier if facts else ()
            heads = [classifier] if isinstance(classifier, str) else list(classifier or ())
            path = load_network(network, path or weights, ignore=[f"{head}." for head in heads])
        super().__init__(
            network,
            _described(f"{name} of timm", weights, origin, seed),
            facts.license if facts and weights == PRETRAINED else None,
            feature_dim=_length(_timm_map, network, size),
            image_size=size,
            mean=facts.mean if facts else IMAGENET_MEAN,
            std=facts.std if facts else IMAGENET_STD,
            rgb=rgb,
            precision=precision,
            weights_file=path,
            settings={"architecture": name.partition(".")[0]},
        )

    def embed(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F)``."""
        pooled = getattr(self.network, "head_hidden_size", self.network.num_features)
        if pooled == self.feature_dim:
            return self.network(image_B3GG)
        return super().embed(image_B3GG)

    def embed_patches(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F, h, w)``."""
        return _timm_map(self.network, image_B3GG)


@BACKBONES.register_module()
class MMPretrainEncoder(ImageEncoder):
    """A frozen backbone of mmpretrain.

    The spatial feature is the backbone's last map or its last tokens. The global one is its class token, or
    the mean of the map.

    Args:
        backbone: a model of ``mmpretrain.list_models()``, or the config of a backbone such as
            ``dict(type="mmpretrain.ConvNeXt", arch="tiny")``.
        weights: ``pretrained``, those of the named model from torch's cache or the network; a file, or a
            folder with one, at this path or in ``$M3AMBA_WEIGHTS``; or ``random``.
        image_size: G, of the network's training.
        seed: of random weights.
        rgb, precision: as for every ``ImageEncoder``.

    Raises:
        InputError: if there is no such model, or its weights cannot be found, fetched or read.
    """

    def __init__(
        self,
        backbone: str | Mapping[str, Any] = "",
        weights: str = PRETRAINED,
        image_size: int = 224,
        seed: int = 0,
        rgb: Sequence[float] | None = None,
        precision: str = AUTO,
    ) -> None:
        config, address = _of_mmpretrain(backbone)
        network = _seeded(lambda: MODELS.build(_with_map(config)), seed)
        name = backbone if isinstance(backbone, str) else config["type"].rpartition(".")[2]
        path, origin = None, ""
        if weights != RANDOM:
            if weights == PRETRAINED:
                path, origin = _downloaded(f"weights of mmpretrain's '{name}'", address)
            path = load_network(network, path or weights, strip="backbone.")
        super().__init__(
            network,
            _described(f"{name} of mmpretrain", weights, origin, seed),
            "Apache-2.0" if weights == PRETRAINED else None,
            feature_dim=_length(_last, network, image_size),
            image_size=image_size,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            rgb=rgb,
            precision=precision,
            weights_file=path,
            settings={"backbone": {key: value for key, value in config.items() if key != "init_cfg"}},
        )

    def embed(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F)``."""
        last = _last(self.network, image_B3GG)
        if last.ndim == 3 and self.network.num_extra_tokens:
            return last[:, 0]
        return last.mean(dim=1 if last.ndim == 3 else (2, 3))

    def embed_patches(self, image_B3GG: Tensor) -> Tensor:
        """Encode images ``(B, 3, G, G)`` to ``(B, F, h, w)``."""
        last = _last(self.network, image_B3GG)
        if last.ndim == 4:
            return last
        tokens = last[:, self.network.num_extra_tokens :]
        return tokens.mT.unflatten(2, (math.isqrt(tokens.shape[1]), -1))


def _seeded(build: Callable[[], Any], seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build()
    network.eval()  # whose result is no module in mmpretrain
    return network


def _described(what: str, weights: str, origin: str, seed: int) -> str:
    if weights == RANDOM:
        return f"{what}, randomly initialised (seed {seed}): not a trained one"
    return f"{what}, weights {weights} from {origin or 'a file'}"


@torch.no_grad()
def _length(last: Callable[[Any, Tensor], Tensor], network: nn.Module, size: int) -> int:
    """Return F, the length of the features that a network gives."""
    given = last(network, torch.zeros(1, 3, size, size))
    if given.ndim not in (3, 4):
        raise InputError(f"{type(network).__name__} gives {tuple(given.shape)}, expected a map or tokens")
    return given.shape[1 if given.ndim == 4 else 2]


def _check_timm(name: str) -> None:
    """Raise InputError unless this is a model of timm, with close names."""
    import timm

    examples = "'resnet18.a1_in1k' or 'vit_small_patch14_dinov2.lvd142m'; timm.list_models() names them all"
    if not name:
        raise InputError(f"TimmEncoder needs name=, a model of timm such as {examples}")
    architecture, _, tag = name.partition(".")
    if architecture not in timm.list_models():
        hint = close_names(architecture, timm.list_models()) or f"models are {examples}"
        raise InputError(f"TimmEncoder: timm has no model '{name}'; {hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")) or "none"
        raise InputError(
            f"TimmEncoder: timm has no weights '{tag}' of '{architecture}'; it has {tags}"
        ) from error


def _timm_network(name: str) -> Any:
    import timm

    try:
        return timm.create_model(name, num_classes=0, dynamic_img_size=True)  # of a ViT
    except TypeError:
        return timm.create_model(name, num_classes=0)


def _timm_map(network: Any, image: Tensor) -> Tensor:
    return network.forward_intermediates(image, 1, norm=True, output_fmt="NCHW", intermediates_only=True)[-1]


def _last(network: nn.Module, image: Tensor) -> Tensor:
    given = network(image)
    return given[-1] if isinstance(given, (tuple, list)) else given


def _of_mmpretrain(backbone: str | Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the config of a backbone, and where its weights are published."""
    if not backbone or (not isinstance(backbone, str) and "type" not in backbone):
        raise InputError(
            "MMPretrainEncoder needs backbone=, a model of mmpretrain such as 'resnet18_8xb32_in1k' "
            "(mmpretrain.list_models() names them all) or a config such as dict(type='mmpretrain.ResNet', "
            "depth=18)"
        )
    if not isinstance(backbone, str):
        return dict(backbone), None
    from mmpretrain.apis import ModelHub, list_models

    try:
        info = ModelHub.get(backbone)
    except ValueError as error:
        hint = close_names(backbone, list_models()) or "mmpretrain.list_models() names them"
        raise InputError(f"MMPretrainEncoder: mmpretrain has no model '{backbone}'; {hint}") from error
    config = dict(info.config.model.backbone)
    return {**config, "type": f"mmpretrain.{config['type']}"}, info.weights


def _with_map(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a backbone's config with options that make it give all tokens, or its map before pooling."""
    MODELS.check(config["type"])
    takes = inspect.signature(MODELS.get(config["type"]).__init__).parameters
    wanted = {"out_type": "raw", "gap_before_final_norm": False}
    return {**config, **{option: value for option, value in wanted.items() if option in takes}}


def _downloaded(what: str, address: str | None) -> tuple[Path, str]:
    """Return a file of torch's cache, fetched if it is not there."""
    if address is None:
        raise InputError(f"{what}: mmpretrain names none; expected a file or '{RANDOM}' as weights")
    path = Path(torch.hub.get_dir(), "checkpoints", os.path.basename(address))
    if path.is_file():
        return path, "the cache"
    with fetching(what, f"curl -LO {address}", address):
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(address, str(path), progress=False)
    return path, "the network"
