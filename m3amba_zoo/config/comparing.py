"""Whether runs are of one config over several seeds, and where configs differ."""

from __future__ import annotations

import copy

from mmengine.config import Config

from m3amba_zoo.config.options import config_sha256, flat, set_seed


def seedless_sha256(config: Config) -> str:
    """Return the hash of a config without its seeds: equal for the runs of one config over several seeds."""
    return config_sha256(_seedless(config))


def first_difference(config: Config, other: Config) -> str:
    """Return where two configs differ beside their seeds, as text: the place, and the value of each."""
    first, second = (_leaves(each) for each in (config, other))
    for place in [*first, *second]:
        if first.get(place) != second.get(place):
            return f"{place} is {second.get(place)!r} and {first.get(place)!r}"
    return "their seeds are set in different places"


def _seedless(config: Config) -> Config:
    config = copy.deepcopy(config)
    set_seed(config, 0)
    return config


def _leaves(config: Config) -> dict[str, object]:
    config = _seedless(config)
    config.pop("work_dir", None)
    return flat(config._cfg_dict.to_dict())
