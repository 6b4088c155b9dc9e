"""Writes a small package with an adapter of its own, which the zoo finds once it is installed."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from string import Template

from m3amba_zoo.cli.output import print_line
from m3amba_zoo.errors import InputError
from m3amba_zoo.system import whole_folder

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$name"
version = "0.1.0"
description = "An adapter for m3amba_zoo"
requires-python = ">=3.10"
dependencies = ["m3amba_zoo"]

[project.entry-points."m3amba_zoo.plugins"]
$name = "$package"

[tool.setuptools]
packages = ["$package"]
""",
    "README.md": """\
# $name

`$adapter` turns one modality's bands into tokens for M3amba.

```bash
pip install -e .
m3amba parts adapters                # lists $adapter
m3amba train ${package}_demo.py      # on a simulated scene
python -m pytest                     # the tests
```

`${package}_demo.py` shows how a config names it. Other parts are registered in the same way, by `NECKS`,
`HEADS`, `SOURCES`, `METRICS`, ... of `m3amba_zoo.registry`.
""",
    "$package/__init__.py": """\
\"\"\"Parts for m3amba_zoo; importing registers them.\"\"\"

from $package.adapters import $adapter

__all__ = ["$adapter"]
""",
    "$package/adapters.py": """\
\"\"\"From a modality's bands to tokens.\"\"\"

from torch import Tensor, nn

from m3amba_zoo.models import TokenAdapter
from m3amba_zoo.registry import ADAPTERS


@ADAPTERS.register_module()
class $adapter(TokenAdapter):
    \"\"\"Convolves along the bands of each pixel before it projects them.

    Args:
        in_channels: C, the bands after pretreatment.
        embed_dim: E, the length of a token.
        window: S, the side of a window in pixels.
        kernels: how many convolutions there are, each over 7 bands.
    \"\"\"

    def __init__(self, in_channels: int, embed_dim: int, window: int, kernels: int = 4) -> None:
        super().__init__(in_channels, embed_dim, window)
        self.bands = nn.Conv3d(1, kernels, (7, 1, 1), padding=(3, 0, 0))
        self.project = nn.Linear(kernels * in_channels, embed_dim)

    def tokens(self, x_BCSS: Tensor) -> Tensor:
        \"\"\"Return the tokens ``(B, S, S, E)`` of windows ``(B, C, S, S)``.\"\"\"
        features = self.bands(x_BCSS[:, None]).relu().flatten(1, 2)
        return self.project(features.permute(0, 2, 3, 1))
""",
    "${package}_demo.py": """\
\"\"\"M3amba with $adapter, on the simulated scene of m3amba_demo.\"\"\"

_base_ = "m3amba_zoo::m3amba_demo"  # or any other that 'm3amba configs' lists
model = dict(adapters=dict(hsi=dict(type="$adapter", kernels=4)))
""",
    "tests/test_adapter.py": """\
\"\"\"The adapter, built from a config as a training builds it.\"\"\"

import torch

from m3amba_zoo.registry import ADAPTERS


def test_windows_become_tokens_and_every_parameter_learns():
    config = {"type": "$adapter", "in_channels": 9, "embed_dim": 16, "window": 8}
    adapter = ADAPTERS.build(config)
    tokens = adapter.tokens(torch.randn(2, 9, 8, 8))
    assert tokens.shape == (2, 8, 8, 16)
    tokens.square().sum().backward()
    assert adapter.project.weight.grad.abs().sum() > 0
    assert adapter.bands.weight.grad.abs().sum() > 0
""",
}
"""The files by their paths; ``$name``, ``$package`` and ``$adapter`` are filled in."""


def make_plugin(folder: Path) -> None:
    """Write a package into a new folder, whose last part names it.

    Raises:
        InputError: if the name is no package's, a module has it already, or the folder exists or cannot be
            written.
    """
    name = folder.name
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name}: a package's name is expected, of letters, digits and '-', such as my-adapters"
        )
    package = re.sub("[-_]+", "_", name).lower()
    if find_spec(package) is not None:
        raise InputError(f"{name}: there is a module '{package}' already; expected another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already and is not overwritten")
    adapter = "".join(part[0].upper() + part[1:] for part in package.split("_")).removesuffix("Adapters")
    words = {"name": name, "package": package, "adapter": f"{adapter.removesuffix('Adapter')}Adapter"}
    with whole_folder(folder) as aside:
        for path, text in FILES.items():
            file = aside / Template(path).substitute(words)
            file.parent.mkdir(exist_ok=True)
            file.write_text(Template(text).substitute(words), encoding="utf-8")
    shown = shlex.quote(str(folder))
    print_line(f"wrote {', '.join(Template(path).substitute(words) for path in FILES)} to {folder}")
    print_line(f"next: pip install -e {shown}")
    print_line(f"then: m3amba train {shown}/{package}_demo.py")
