"""M3amba (arXiv 2503.06446): adapters around a frozen CLIP encoder, CrossMamba, a head a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.adapters.adapter import Adapter
from m3amba_zoo.models.necks.cross_mamba import FUSED
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.registry import ADAPTERS, BACKBONES, HEADS, MODELS, NECKS


@MODELS.register_module()
class M3amba(WindowClassifier):
    """The classifier that joins adapters, neck and heads, for any number of modalities.

    Args:
        in_channels: bands by modality, as the scene holds them.
        num_classes: K.
        embed_dim: E.
        window: S, rows and columns of a window.
        adapter: config of the adapter of every modality.
        adapters: configs by modality, which override ``adapter``.
        neck: config of the fusion network.
        head: config of the heads.
        encoder: config of the frozen image encoder, or None.
        data_preprocessor, loss, posterior: as for every WindowClassifier.

    Raises:
        InputError: a part is not registered, or adapters are given for modalities the model does not have.
    """

    def __init__(
        self,
        in_channels: dict[str, int],
        num_classes: int,
        embed_dim: int,
        window: int,
        adapter: dict,
        neck: dict,
        adapters: dict[str, dict] | None = None,
        head: dict | None = None,
        encoder: dict | None = None,
        data_preprocessor: nn.Module | dict | None = None,
        loss: dict | None = None,
        posterior: dict | None = None,
    ) -> None:
        super().__init__(in_channels, num_classes, data_preprocessor, loss, posterior)
        for unknown in set(adapters or {}) - set(in_channels):
            raise InputError(f"an adapter is given for '{unknown}', but the model has {sorted(in_channels)}")
        self.encoder = BACKBONES.build(encoder) if encoder else None
        encoder_args = (
            {"feature_dim": self.encoder.feature_dim, "image_size": self.encoder.image_size}
            if self.encoder
            else {}
        )
        self.adapters = nn.ModuleDict()
        for modality, bands in self.treated_channels.items():
            part = {**(adapters or {}).get(modality, adapter)}
            kind = ADAPTERS.get(part["type"]) if isinstance(part.get("type"), str) else part.get("type")
            if getattr(kind, "uses_encoder", False):
                part = {**encoder_args, **part}
            common = {"in_channels": bands, "embed_dim": embed_dim, "window": window}
            self.adapters[modality] = ADAPTERS.build(part, default_args=common)
        if self.encoder and not any(getattr(a, "uses_encoder", False) for a in self.adapters.values()):
            raise InputError("an encoder is configured, but no adapter uses it; ClipAdapter is expected")
        self.neck = NECKS.build(neck, default_args={"modalities": list(in_channels), "embed_dim": embed_dim})
        self.heads = nn.ModuleDict(
            {
                stream: HEADS.build(
                    head or {"type": "StreamHead"},
                    default_args={"embed_dim": embed_dim, "num_classes": num_classes},
                )
                for stream in (*in_channels, FUSED)
            }
        )

    def logits(
        self, inputs: Mapping[str, Tensor], clip_features: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return logits ``(B, K, S, S)`` by stream, ``fused`` among them.

        Raises:
            InputError: a modality is missing.
        """
        tokens, priors = {}, []
        for modality, adapter in self.adapters.items():
            if modality not in inputs:
                raise InputError(
                    f"modality '{modality}' is missing: the model was built for {', '.join(self.adapters)}"
                )
            x = inputs[modality]
            feature = self._feature(adapter, modality, x, clip_features)
            tokens[modality], prior = adapter(x, feature)
            priors.append(prior)
        streams = self.neck(tokens, torch.stack(priors).sum(0))
        return {stream: head(streams[stream]) for stream, head in self.heads.items()}

    def _feature(
        self, adapter: nn.Module, modality: str, x: Tensor, given: Mapping[str, Tensor] | None
    ) -> Tensor | None:
        if given is not None:
            return given[modality]
        if self.encoder is None:
            return None
        image = cast(Adapter, adapter).encoder_input(x)
        return None if image is None else self.encoder(image)


def m3amba(
    in_channels: dict[str, int],
    num_classes: int,
    embed_dim: int = 384,
    depth: int = 9,
    d_state: int = 16,
    window: int = 32,
    clip: dict[str, Any] | str | None = None,
) -> M3amba:
    """Build M3amba; the defaults are the paper's size (70.8 M parameters for Houston 2013, CLIP excluded).

    Args:
        in_channels: bands by modality, for example ``dict(hsi=144, lidar=1)``.
        num_classes: K.
        embed_dim: E.
        depth: number of layers.
        d_state: N.
        window: S.
        clip: the frozen encoder: a config of ``ClipImageEncoder`` without its type, or its ``weights`` alone
            (a file, ``"openai"``, ``"random"``). None builds no encoder: give ``clip_features`` to the model,
            or else the tokens stand in for the semantic prior.

    Returns:
        A module called as ``model(inputs, clip_features=None, mode="tensor")``.
    """
    if isinstance(clip, str):
        clip = {"weights": clip}
    return M3amba(
        in_channels=in_channels,
        num_classes=num_classes,
        embed_dim=embed_dim,
        window=window,
        adapter={"type": "ClipAdapter"},
        neck={"type": "CrossMamba", "depth": depth, "d_state": d_state},
        encoder=None if clip is None else {"type": "ClipImageEncoder", **clip},
    )
