"""The layout of M3amba's authors, from ours: the inverse of ``m3amba_zoo.hub.convert_reference``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_THEIRS = (  # applied in turn
    (r"^adapters\.(\w+)\.pseudo_rgb", r"conv_\1"),
    (r"^adapters\.(\w+)\.prior_map", r"model_dict.linear_\1"),
    (r"^adapters\.(\w+)\.prior_bands", r"model_dict.conv_\1"),
    (r"^adapters\.(\w+)\.token_embed", r"model_dict.patch_embed_\1"),
    (r"^adapters\.(\w+)\.prior_embed", r"model_dict.patch_embed_\1_clip"),
    (r"(patch_embed\w+)\.proj", r"\1.0"),
    (r"(patch_embed\w+)\.norm", r"\1.2"),
    (r"^heads\.fused", "model_dict.classifier_add"),
    (r"^heads\.(\w+)", r"model_dict.classifier_\1"),
    (r"\.classify\.", ".head."),
    (r"^neck\.streams\.hsi", "model_dict.layers_x.0"),
    (r"^neck\.streams\.lidar", "model_dict.layers_y.0"),
    (r"^neck\.fused", "model_dict.layers_z.0"),
    (r"\.norm1\.", ".norm."),
    (r"\.mlp\.0\.", ".mlp.fc1."),
    (r"\.mlp\.2\.", ".mlp.fc2."),
    (r"\.scan\.conv\.", ".op.conv2d."),
    (r"\.scan\.(in_proj|out_norm|out_proj)\.", r".op.\1."),
    (r"\.x_proj$", ".x_proj_weight"),
    (r"\.dt_(weight|bias)$", r".dt_projs_\1"),
    (r"\.(A_log|D)$", r".\1s"),
    (r"(layers_z.+)\.scan\.own\.", r"\1.op."),
    (r"\.scan\.own\.(\w+)$", r".op.\1_hsi"),
    (r"\.scan\.fused\.(\w+)$", r".op.\1_lidar"),
)


def in_authors_layout(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return a state dict of ours in the authors' layout: nested, 1 x 1 convolutions of four dimensions."""
    nested: dict[str, dict[str, Tensor]] = {"model_dict": {}, "conv_hsi": {}, "conv_lidar": {}}
    for name, value in state_dict.items():
        value = value.flatten(0, 1) if name.endswith((".A_log", ".D")) else value
        for pattern, replacement in _THEIRS:
            name = re.sub(pattern, replacement, name)
        if re.search(r"(patch_embed_\w+\.0|head)\.weight", name):
            value = value[:, :, None, None]
        top, _, inner = name.partition(".")
        nested[top][inner] = value
    return nested
