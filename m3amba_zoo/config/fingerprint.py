"""The hash of all that decides a run's result."""

from __future__ import annotations

import hashlib
import json

from mmengine.config import Config

from m3amba_zoo.config.options import DECISIVE

DISPLAY_HOOKS = ("logger", "progress", "report")
CLASSIFIER_DATA = ("source", "split", "modalities", "part")


def config_sha256(config: Config) -> str:
    """Return the sha256 of what decides a run's result; work dir, log and display do not count.

    Of a classical classifier's config these are the classifier, its data and the seed, because such a
    classifier sees no windows. The model's ``modalities`` do not count: they are those of its data.

    Args:
        config: as the run sees it, completed (``read_config``).
    """
    plain = config._cfg_dict.to_dict()
    if plain.get("classifier"):
        dataset = (plain.get("test_dataloader") or {}).get("dataset") or {}
        plain = {key: plain.get(key) for key in ("classifier", "custom_imports", "randomness")}
        plain["classifier"] = {key: value for key, value in plain["classifier"].items() if value != {}}
        plain["test_dataloader"] = {key: dataset[key] for key in CLASSIFIER_DATA if key in dataset}
    elif isinstance(plain.get("model"), dict):
        plain["model"] = {key: value for key, value in plain["model"].items() if key != "modalities"}
    hooks = plain.get("default_hooks") or {}
    plain["default_hooks"] = {name: hook for name, hook in hooks.items() if name not in DISPLAY_HOOKS}
    decisive = {key: plain[key] for key in DECISIVE if plain.get(key) not in (None, {}, [])}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=repr).encode()).hexdigest()
