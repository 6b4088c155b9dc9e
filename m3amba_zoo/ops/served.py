"""Which tensors the fast backends take."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def refusal(tensors: Iterable[Tensor], device_type: str) -> str | None:
    """Say why a backend of this type of device, ``cpu`` or ``cuda``, cannot take these tensors, or None."""
    place = {"cpu": "on the CPU", "cuda": "on CUDA devices"}[device_type]
    first = None
    for tensor in tensors:
        first = tensor.device if first is None else first
        if tensor.device.type != device_type:
            return f"a tensor lies on {tensor.device}, this backend runs {place}"
        if tensor.device != first:
            return f"tensors lie on {first} and {tensor.device}, this backend runs on one device"
        if tensor.dtype not in DTYPES:
            dtype = str(tensor.dtype).removeprefix("torch.")
            return f"a tensor is {dtype}, this backend takes float32, bfloat16 and float16"
    return None
