"""Automatic mixed precision on CUDA and on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper as MMEngineAmpOptimWrapper
from mmengine.optim import OptimWrapper
from torch import nn
from torch.amp import GradScaler

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import OPTIM_WRAPPERS

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(MMEngineAmpOptimWrapper):
    """MMEngine's wrapper of that name, which refuses CPUs; this one runs on both.

    Args:
        dtype: ``float16`` (CUDA only, with a gradient scaler) or ``bfloat16`` (no scaler is needed); None is
            float16 on CUDA and bfloat16 on a CPU.
        loss_scale: ``dynamic``, or arguments of ``torch.amp.GradScaler``.
        kwargs: of ``OptimWrapper``.

    Raises:
        InputError: another dtype, or float16 on a CPU.
    """

    def __init__(self, dtype: str | None = None, loss_scale: str | dict = "dynamic", **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)  # MMEngine's __init__ is what refuses CPUs
        self.device_type = torch.device(get_device()).type
        dtype = dtype or ("bfloat16" if self.device_type == "cpu" else "float16")
        if dtype not in DTYPES or (dtype == "float16" and self.device_type == "cpu"):
            expected = "bfloat16" if self.device_type == "cpu" else " or ".join(DTYPES)
            raise InputError(f"optim_wrapper.dtype is '{dtype}', expected {expected} on {self.device_type}")
        self.cast_dtype = DTYPES[dtype]
        self.loss_scaler = GradScaler(
            self.device_type,
            enabled=dtype == "float16",
            **({} if isinstance(loss_scale, str) else loss_scale),
        )
        self._scale_update_param = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass in ``dtype``."""
        with OptimWrapper.optim_context(self, model), torch.autocast(self.device_type, self.cast_dtype):
            yield
