"""A frozen CLIP image encoder from open_clip, with weights from a file, the cache or the internet."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import BACKBONES
from m3amba_zoo.system import OFFLINE_VARIABLE, is_offline

RANDOM = "random"
# names of open_clip's own downloads in the cache, best first
CACHED_FILES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)


@BACKBONES.register_module()
class ClipImageEncoder(nn.Module):
    """The frozen image tower of an open_clip model.

    The tower's weights are in no optimiser and no checkpoint, because they are published elsewhere or follow
    from a seed. Checkpoints store only their fingerprint, and refuse another encoder. Gradients pass through
    the tower to its input.

    Args:
        name: an open_clip model name (``open_clip.list_models()``), or the path of a model config ``.json``.
        weights: a file; or a tag of open_clip (``open_clip.list_pretrained()``), taken from the cache or
            downloaded; or ``random``, an untrained tower.
        seed: of the random weights.
        cache_dir: where open_clip keeps downloads; None for its default.

    Raises:
        InputError: if the name or tag is unknown, or the weights cannot be found, downloaded or read.
    """

    fingerprint: Tensor

    def __init__(
        self,
        name: str = "ViT-B-32-quickgelu",
        weights: str = "openai",
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
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
            self.description = f"{name}, randomly initialised (seed {seed}): not a trained CLIP"
        else:
            path, origin = _find_weights(name, weights, cache_dir)
            try:
                model = open_clip.create_model(name, pretrained=str(path))
            except Exception as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"{path}: not weights of the open_clip model '{name}' ({reason})") from error
            self.description = f"{name}, weights {weights} from {origin}"
        print_log(f"CLIP image encoder: {self.description}", "current", logging.INFO)
        tower: Any = model.visual.eval().requires_grad_(False)
        # in a tuple the tower is not a submodule, so that parameters(), state_dict() and train() leave it out
        self._tower = (tower,)
        size = tower.image_size
        self.image_size: int = size[0] if isinstance(size, tuple) else size
        self.feature_dim: int = tower.output_dim
        self.register_buffer("fingerprint", _fingerprint(tower))

    def _apply(self, fn: Any, recurse: bool = True) -> ClipImageEncoder:
        super()._apply(fn, recurse)
        self._tower[0]._apply(fn, recurse)
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        stored = state_dict.get(f"{prefix}fingerprint")
        if stored is not None and not torch.equal(stored.cpu(), self.fingerprint.cpu()):
            raise InputError(
                f"the checkpoint was trained with another CLIP encoder than this one ({self.description}): "
                "the fingerprints of the weights differ"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, image_B3GG: Tensor) -> Tensor:
        """Encode ``(B, 3, G, G)`` to ``(B, F)``."""
        return self._tower[0](image_B3GG)


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


def _fingerprint(tower: nn.Module) -> Tensor:
    """Return the sha256 of the tower's weights, ``(32,)`` uint8."""
    digest = hashlib.sha256()
    for key, value in sorted(tower.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8).clone()
