"""Reading of YAML files that people write: plain words as YAML 1.2 has them, and no key twice."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import library_errors, read_text

BOOL, INT, TIMESTAMP = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "timestamp"))
MERGE = "tag:yaml.org,2002:merge"
LONGEST, MOST_VALUES = 2**20, 2**20  # characters and values of a file


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, to which ``no``, ``on``, ``010``, ``1:30`` and ``2024-01-01`` are texts.

    PyYAML follows YAML 1.1, where they are false, true, 8, 90 and a date. What it writes is read back alike.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [entry for entry in entries if entry[0] not in (BOOL, INT, TIMESTAMP)]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> yaml.Node | None:
        """Refuse aliases that unfold to very many values, or to themselves: reading them takes for ever."""
        node = super().get_single_node()
        if node is not None and _unfolded(node, {}) > MOST_VALUES:
            raise InputError(f"{self.name}: its aliases (*name) unfold to more than {MOST_VALUES} values")
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Refuse a key that stands twice: PyYAML would take the last one and forget the others."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        known = set()
        for key, _ in node.value:
            if key.tag != MERGE and isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    raise InputError(
                        f"{self.name}, line {key.start_mark.line + 1}: the key '{key.value}' stands here a "
                        "second time; each key once is expected"
                    )
                known.add(key.value)
        return node


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values of a node with those that its aliases repeat; infinite for an alias within itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        of_pairs = [part for pair in children for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_unfolded(child, known) for child in of_pairs)
    return known[id(node)]


_Loader.add_implicit_resolver(BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(INT, re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        InputError: if the file is absent or not YAML, or has a key twice; the message names the line.
    """
    return parse_yaml(read_text(path, "not YAML"), str(path))


def parse_yaml(text: str, path: str) -> Any:
    """Return the content of a text in YAML; ``path`` is where it stands, for messages.

    Raises:
        InputError: as ``read_yaml``; or if the text is very long, or unfolds to very many values.
    """
    if len(text) > LONGEST:
        raise InputError(
            f"{path}: {len(text)} characters, expected at most {LONGEST} of a file that people write"
        )
    with library_errors(path, "not YAML"):
        try:
            loader = _Loader(text)
            loader.name = path
            return loader.get_single_data()
        except yaml.MarkedYAMLError as error:
            mark, problem = error.problem_mark, error.problem or "its structure"
            line = f", line {mark.line + 1}" if mark else ""
            raise InputError(f"{path}{line}: not YAML ({problem})") from error
