"""Values as a checkpoint holds them: tensors, texts, numbers and builtin containers, read without code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

PLAIN = (str, bytes, bool, int, float, type(None), torch.Tensor)


def pack(history: HistoryBuffer) -> dict[str, torch.Tensor]:
    """Return a history of scalars as tensors."""
    values, counts = history.data
    return {"values": torch.from_numpy(values.copy()), "counts": torch.from_numpy(counts.copy())}


def unpack(packed: Any) -> Any:
    """Return the history that ``pack`` made these tensors of; anything else as it is."""
    if isinstance(packed, Mapping) and packed.keys() == {"values", "counts"}:
        return HistoryBuffer(packed["values"].numpy(), packed["counts"].numpy())
    return packed


def is_plain(value: Any) -> bool:
    """Say whether a value is plain, or made of plain values by lists and mappings."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value)) and all(map(is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return isinstance(value, (*PLAIN, np.generic))


def made_plain(value: Any) -> Any:
    """Return builtin containers and numbers in place of config dicts and numpy scalars."""
    if isinstance(value, Mapping):
        return {made_plain(key): made_plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [made_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value
