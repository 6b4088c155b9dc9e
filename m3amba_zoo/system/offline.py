"""Whether the network may be used."""

from __future__ import annotations

import os

OFFLINE_VARIABLE = "M3AMBA_OFFLINE"
NOT_OFFLINE = ("", "0", "false", "no", "off")


def is_offline() -> bool:
    """Return whether ``$M3AMBA_OFFLINE`` forbids the network: it is set, but not to 0, false, no or off."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in NOT_OFFLINE
