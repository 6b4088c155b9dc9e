"""The config of a card: all that made the model, nothing of the machine that it was made on."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from m3amba_zoo.errors import InputError

# where files went and how the run was started; none of it is in config_sha256
OF_THE_RUN = ("work_dir", "launcher", "resume", "load_from")
ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")


def card_config_text(config: Config) -> str:
    """Return a config as a file that needs no other.

    Raises:
        InputError: it names a path of this machine, which would be none elsewhere.
    """
    kept = copy.deepcopy(config._cfg_dict.to_dict())
    for key in OF_THE_RUN:
        kept.pop(key, None)
    for place, value in _texts(kept):
        if ABSOLUTE.match(value):
            raise InputError(
                f"{config.filename}: {place} is '{value}', a path of this machine; train with a name or "
                "a relative path (data is found below M3AMBA_DATA)"
            )
    return Config({**kept, "load_from": None}).pretty_text


def portable_command(command: str) -> str:
    """Return a command line without the work dir and without the folders that lie above the checkout.

    An absolute path keeps what follows the last ``configs`` in it, or else its last part.
    """
    command = re.sub(r"\s--work-dir(=|\s+)\S+", "", command)
    return re.sub(r"(?<![^\s=])[/~]\S+", lambda path: _shortened(path[0]), command)


def _shortened(path: str) -> str:
    _, found, after = path.rpartition("/configs/")
    return f"configs/{after}" if found else path.rstrip("/").rpartition("/")[2]


def _texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the value of every text in a config."""
    if isinstance(node, str):
        yield place.removeprefix("."), node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _texts(value, f"{place}.{key}")
    elif isinstance(node, (list, tuple)):
        for position, value in enumerate(node):
            yield from _texts(value, f"{place}.{position}")
