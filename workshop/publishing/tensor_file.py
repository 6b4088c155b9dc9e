"""Tensors as the bytes of a ``.safetensors`` file, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Mapping

from safetensors.torch import save
from torch import Tensor


def tensor_file(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return the file that holds these tensors and texts.

    The same content gives the same bytes. safetensors itself orders the tensors, but writes the texts in an
    order that changes from process to process.
    """
    alone = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    written = save(alone, dict(metadata))
    start = 8 + int.from_bytes(written[:8], "little")  # the header's length, the header, the values
    header = json.loads(written[8:start])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the values to 8 bytes
    return len(text).to_bytes(8, "little") + text + written[start:]
