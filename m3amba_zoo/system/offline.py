"""Whether the network may be used."""

from __future__ import annotations

import os

OFFLINE_VARIABLE = "M3AMBA_OFFLINE"
NOT_OFFLINE = ("", "0", "false", "no", "off")


def is_offline() -> bool:
    """Whether ``$M3AMBA_OFFLINE`` forbids the network: it is set, and to none of 0, false, no, off."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in NOT_OFFLINE
