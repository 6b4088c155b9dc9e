"""M3amba (arXiv 2503.06446): adapters around a frozen CLIP encoder, CrossMamba, one head per stream.

Each modality m enters through its adapter (``adapters.py``) as token_m and prior_m. The fused stream z starts
as the sum of the priors. Each layer updates every modality's stream with the help of z, then replaces z:

    x_m <- CrossBlock_m(x_m, z)          for each modality, with the z of the layer before
    z   <- Block_z(sum over m of x_m)    z is replaced, not added to

    Block(x)         = y + DropPath(MLP(LN2 y)),  y = x + DropPath(SS2D(LN1 x))
    CrossBlock(x, z) = the same with CrossSS2D(LN1 x, LN1 z) in place of SS2D(LN1 x)

The MLP has 4 E hidden units and GELU; DropPath rises linearly over the layers, from 0 to 0.1. SS2D and
Cross-SS2D are in ``ss2d.py``. Each stream has a head, ``Conv1x1(E -> K)(LayerNorm(x))``; the fused stream's
logits are the prediction. Linear layers start from a truncated normal of 0.02, LayerNorm from 1 and 0.

Shape suffixes: B batch, S rows and columns of a window, H and W rows and columns, E embed_dim, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.adapters import Adapter, ClipAdapter, FeaturePrior, prior_modality
from m3amba_zoo.models.axes import writes_classes
from m3amba_zoo.models.map_linear import MapLinear
from m3amba_zoo.models.ss2d import SS2D, CrossSS2D
from m3amba_zoo.models.window_classifier import FUSED, WindowClassifier
from m3amba_zoo.registry import ADAPTERS, BACKBONES, HEADS, MODELS, NECKS

MLP_RATIO = 4
CLIP_FEATURES = 512  # the length of ViT-B/32's
CROSS, SUM, CONCAT = "cross", "sum", "concat"


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
        in_channels: bands per modality, for example ``dict(hsi=144, lidar=1)``.
        num_classes: K.
        embed_dim: E.
        depth: number of layers.
        d_state: N.
        window: S.
        clip: the frozen encoder: a config of ``ClipImageEncoder`` without its type, or its ``weights`` alone
            (a file, ``"openai"``, ``"random"``). None builds no encoder, but all layers of the prior: then
            give ``clip_features`` to the model. Without them the tokens also serve as the semantic prior, and
            its layers get no gradient.

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
        # with an encoder the length of its feature is the encoder's
        adapter={"type": "ClipAdapter", **({"feature_dim": CLIP_FEATURES} if clip is None else {})},
        neck={"type": "CrossMamba", "depth": depth, "d_state": d_state},
        encoder=None if clip is None else {"type": "ClipImageEncoder", **clip},
    )


@MODELS.register_module()
class M3amba(WindowClassifier):
    """The classifier that joins adapters, neck and heads, for any number of modalities.

    Args:
        in_channels: bands per modality, as the scene holds them.
        num_classes: K.
        embed_dim: E.
        window: S, rows and columns of a window.
        adapter: config of the adapter of every modality.
        neck: config of the fusion network.
        adapters: configs per modality, which override ``adapter``.
        head: config of the heads; one with a method ``penalty`` adds a term to the loss.
        encoder: config of the frozen image encoder, or None.
        prior: the ``modality`` that gives z_0 in place of the adapters' priors, which is then no stream of
            its own, and options of FeaturePrior. None leaves it to the adapters.
        **base: data_preprocessor, loss, posterior and modalities, as for every WindowClassifier.

    Raises:
        InputError: if a part is not registered, an adapter is given for a modality that is no stream of the
            model, nothing would read the encoder's features or the prior, or the prior's modality is absent.
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
        prior: dict | None = None,
        **base: Any,
    ) -> None:
        super().__init__(in_channels, num_classes, **base)
        of_prior = prior_modality(prior, self.in_channels, encoder) if prior else None
        streams = [modality for modality in self.in_channels if modality != of_prior]
        for unknown in set(adapters or {}) - set(streams):
            raise InputError(f"an adapter is given for '{unknown}', but the model has {sorted(streams)}")
        self.encoder = BACKBONES.build(encoder) if encoder else None
        encoder_args = (
            {"feature_dim": self.encoder.feature_dim, "image_size": self.encoder.image_size}
            if self.encoder
            else {}
        )
        self.adapters = nn.ModuleDict()
        for modality, bands in self.treated_channels.items():
            if modality == of_prior:
                continue
            part = {**(adapters or {}).get(modality, adapter)}
            kind = ADAPTERS.get(part["type"]) if isinstance(part.get("type"), str) else part.get("type")
            if getattr(kind, "uses_encoder", False):
                part = {**encoder_args, **part}
            common = {"in_channels": bands, "embed_dim": embed_dim, "window": window}
            self.adapters[modality] = ADAPTERS.build(part, default_args=common)
        self._check_encoder()
        self.neck = NECKS.build(neck, default_args={"modalities": streams, "embed_dim": embed_dim})
        if (self.encoder or prior) and not getattr(self.neck, "reads_prior", True):
            raise InputError(
                f"{'a prior' if prior else 'an encoder'} is configured, but {type(self.neck).__name__} reads "
                f"no prior with model.neck = {dict(neck)}; add model.{'prior' if prior else 'encoder'}=None"
            )
        # a loss may read the fused stream alone
        read = (*streams, FUSED) if getattr(self.loss, "reads_modalities", True) else (FUSED,)
        self.heads = nn.ModuleDict(
            {
                stream: HEADS.build(
                    head or {"type": "StreamHead"},
                    default_args={"embed_dim": embed_dim, "num_classes": num_classes},
                )
                for stream in read
            }
        )
        # named by its modality, whose features its layers read (axes.py)
        self.priors = nn.ModuleDict()
        if prior and of_prior is not None:
            options = {key: value for key, value in prior.items() if key != "modality"}
            features = self.treated_channels[of_prior]
            self.priors[of_prior] = FeaturePrior(features, embed_dim, window, **options)

    def forward(  # type: ignore[override]
        self,
        inputs: dict[str, Tensor],
        clip_features: Mapping[str, Tensor] | None = None,
        mode: str = "tensor",
        **batch: Any,
    ) -> Any:
        """Run ``WindowClassifier.forward``; ``clip_features`` per modality bypass the encoder."""
        logits_of = partial(self.logits, clip_features=clip_features)
        result = super().forward(inputs, mode, logits_of=logits_of, **batch)
        if mode == "loss":
            for stream, head in self.heads.items():
                penalty: Callable[[], Tensor | None] | None = getattr(head, "penalty", None)
                if penalty and (term := penalty()) is not None:
                    result[f"loss_head_{stream}"] = term
        return result

    def logits(
        self, inputs: Mapping[str, Tensor], clip_features: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return logits ``(B, K, S, S)`` per stream that the loss reads, ``fused`` among them.

        Raises:
            InputError: if a modality is missing.
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
        if self.priors:
            priors = [prior(inputs[modality]) for modality, prior in self.priors.items()]
        streams = self.neck(tokens, torch.stack(priors).sum(0))
        return {stream: head(streams[stream]) for stream, head in self.heads.items()}

    def _check_encoder(self) -> None:
        """Raise InputError if no adapter can use the encoder."""
        using = [adapter for adapter in self.adapters.values() if getattr(adapter, "uses_encoder", False)]
        if self.encoder is None:
            return
        if not using:
            raise InputError("an encoder is configured, but no adapter uses it; ClipAdapter is expected")
        name, needs = type(self.encoder).__name__, getattr(self.encoder, "needs", None)
        if needs is not None and not needs.pseudo_rgb and any(isinstance(a, ClipAdapter) for a in using):
            raise InputError(
                f"{name} reads {', '.join(band.name for band in needs.bands)} of the scene, which "
                "ClipAdapter does not have; expected an encoder of any three bands, such as ClipImageEncoder "
                "without rgb (with rgb it makes a raster of features: the source 'encoded')"
            )
        if any(adapter.normalise for adapter in using) and not hasattr(self.encoder, "normalised"):
            raise InputError(f"normalise=True: {name} does not know the mean and deviation of its training")

    def _feature(
        self, adapter: nn.Module, modality: str, x: Tensor, given: Mapping[str, Tensor] | None
    ) -> Tensor | None:
        if given is not None:
            return given[modality]
        if self.encoder is None:
            return None
        adapter = cast(Adapter, adapter)
        image = adapter.encoder_input(x)
        if image is None:
            return None
        if adapter.normalise:
            image = self.encoder.normalised(image)
        return self.encoder.patches(image) if adapter.spatial else self.encoder(image)


@NECKS.register_module()
class CrossMamba(nn.Module):
    """Layers with one CrossBlock per modality and a Block for the fused stream z.

    In each layer: ``x_m <- CrossBlock_m(x_m, z)`` for each modality m; then ``z <- Block_z(sum of x_m)``.

    Args:
        modalities: names of the streams.
        embed_dim: E.
        depth: number of layers.
        d_state: N.
        drop_path: rate of the last layer; it rises linearly from 0.
        fusion: ``cross`` is M3amba's. The others are for ablation, with streams of plain SS2D that never read
            z, which therefore only the last layer makes: ``sum`` from their sum as M3amba does, ``concat``
            from a linear map of them side by side.
        checkpointing: whether training keeps only a block's inputs and runs the block again in the backward
            pass (arXiv 1604.06174): the same gradients for less memory and more time.

    Attributes:
        reads_prior: whether the prior z_0 has a part in the output.

    Raises:
        InputError: if ``fusion`` is unknown.
    """

    def __init__(
        self,
        modalities: Sequence[str],
        embed_dim: int = 384,
        depth: int = 9,
        d_state: int = 16,
        drop_path: float = 0.1,
        fusion: str = CROSS,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if fusion not in (CROSS, SUM, CONCAT):
            raise InputError(f"CrossMamba: fusion is '{fusion}', expected '{CROSS}', '{SUM}' or '{CONCAT}'")
        self.fusion, self.depth, self.checkpointing = fusion, depth, checkpointing
        self.reads_prior = fusion == CROSS
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        block = CrossBlock if fusion == CROSS else Block
        self.streams = nn.ModuleDict(
            {m: nn.ModuleList(block(embed_dim, d_state, rate) for rate in rates) for m in modalities}
        )
        if fusion == CONCAT:
            self.join = MapLinear(len(modalities) * embed_dim, embed_dim)
        read = rates if fusion == CROSS else rates[-1:]  # of the layers whose z is read
        self.fused = nn.ModuleList(Block(embed_dim, d_state, rate) for rate in read)
        self.apply(_init)

    def forward(self, tokens: Mapping[str, Tensor], prior_BHWE: Tensor) -> dict[str, Tensor]:
        """Fuse the streams.

        Args:
            tokens: ``(B, H, W, E)`` per modality.
            prior_BHWE: z_0, the sum of the modalities' priors; only ``cross`` reads it.

        Returns:
            ``(B, H, W, E)`` per modality and under ``fused``.
        """
        x, z = dict(tokens), prior_BHWE
        for index in range(self.depth):
            for modality, blocks in self.streams.items():
                read = (x[modality], z) if self.fusion == CROSS else (x[modality],)
                x[modality] = self._run(cast(nn.ModuleList, blocks)[index], *read)
            if self.fusion == CROSS or index == self.depth - 1:
                fuse = self.fused[index if self.fusion == CROSS else 0]
                z = self._run(fuse, self._join(list(x.values())))
        return {**x, FUSED: z}

    def _join(self, streams_BHWE: Sequence[Tensor]) -> Tensor:
        if self.fusion == CONCAT:
            return self.join(torch.cat(tuple(streams_BHWE), dim=-1))
        return torch.stack(tuple(streams_BHWE)).sum(0)

    def _run(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            # checkpoint keeps the state of the random numbers, so that DropPath drops the same samples again
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


def _init(module: nn.Module) -> None:
    """Start linear layers from a truncated normal of 0.02; LayerNorm keeps its 1 and 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Block(nn.Module):
    """``x + DropPath(SS2D(LN1 x))``, then ``x + DropPath(MLP(LN2 x))``, on ``(B, H, W, E)``."""

    scan_class: type[SS2D] = SS2D

    def __init__(self, embed_dim: int, d_state: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim)
        self.scan = self.scan_class(embed_dim, d_state)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.mlp = nn.Sequential(
            MapLinear(embed_dim, MLP_RATIO * embed_dim),
            nn.GELU(),
            MapLinear(MLP_RATIO * embed_dim, embed_dim),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Return ``(B, H, W, E)``."""
        x = x_BHWE + self.drop_path(self.scan(self.norm1(x_BHWE)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class CrossBlock(Block):
    """A Block whose scan also reads the fused stream z, through the same LayerNorm."""

    scan_class = CrossSS2D

    def forward(self, x_BHWE: Tensor, z_BHWE: Tensor) -> Tensor:  # type: ignore[override]
        """Return x's new value ``(B, H, W, E)``."""
        x = x_BHWE + self.drop_path(self.scan(self.norm1(x_BHWE), self.norm1(z_BHWE)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class DropPath(nn.Module):
    """Stochastic depth (arXiv 1603.09382): drop a residual branch for a whole sample, in training only."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero whole samples of ``(B, ...)`` with probability ``rate`` and scale the rest up."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.empty(x.shape[0], *[1] * (x.ndim - 1), device=x.device, dtype=x.dtype)
        return x * mask.bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate:.3f}"


@HEADS.register_module()
class StreamHead(nn.Module):
    """``Conv1x1(E -> classes)(LayerNorm(x))`` on ``(B, H, W, E)`` tokens.

    Args:
        embed_dim: E.
        num_classes: K.
    """

    def __init__(self, embed_dim: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.classify = writes_classes(MapLinear(embed_dim, num_classes))

    def forward(self, x_BHWE: Tensor) -> Tensor:
        """Return logits ``(B, K, H, W)``."""
        return self.classify(self.norm(x_BHWE)).permute(0, 3, 1, 2)
