"""Reading of YAML files that people write: plain words as YAML 1.2 has them, and no key twice."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from m3amba_zoo.errors import InputError

BOOL, INT, TIMESTAMP = (f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "timestamp"))
MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, to which ``no``, ``on``, ``010``, ``1:30`` and ``2024-01-01`` are texts.

    PyYAML follows YAML 1.1, where they are false, true, 8, 90 and a date. What it writes is read back alike.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [entry for entry in entries if entry[0] not in (BOOL, INT, TIMESTAMP)]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

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


_Loader.add_implicit_resolver(BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(INT, re.compile(r"[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    Raises:
        InputError: if the file is absent or not YAML, or has a key twice; the message names the line.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            return yaml.load(file, _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a YAML file is expected") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"{path}{line}: not YAML ({reason})") from error
