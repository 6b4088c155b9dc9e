"""The registries as plugin authors meet them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from m3amba_zoo import registry
from m3amba_zoo.errors import InputError

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs/extending/adapters.md"
ROOTS = [
    "MODELS",
    "DATASETS",
    "DATA_SAMPLERS",
    "TRANSFORMS",
    "METRICS",
    "HOOKS",
    "ADAPTERS",
    "SOURCES",
    "SPLITS",
    "CLASSIFIERS",
]


@pytest.mark.parametrize("root", ROOTS)
def test_every_registry_lists_parts_and_suggests_close_names(root):
    parts = getattr(registry, root)
    names = parts.names()
    assert names
    with pytest.raises(InputError, match=rf"'{names[0]}_'; did you mean .*'{names[0]}'"):
        parts.build({"type": names[0] + "_"})


def test_kinds_of_models_list_their_own_parts_and_find_all():
    assert registry.NECKS.names() == ["CrossMamba"]
    assert registry.HEADS.names() == ["StreamHead", "TextHead"]
    assert "ClipImageEncoder" in registry.BACKBONES.names()
    assert {*registry.NECKS.names(), *registry.BACKBONES.names()} < set(registry.MODELS.names())
    assert registry.HEADS.get("CrossMamba") is registry.MODELS.get("CrossMamba")
    with pytest.raises(InputError, match=r"no neck is registered as 'CrosMamba'; did you mean 'CrossMamba'"):
        registry.NECKS.build({"type": "CrosMamba"})


def test_parts_of_mmpretrain_are_reached_by_scope():
    import torch

    loss = registry.MODELS.build(
        {"type": "mmpretrain.LabelSmoothLoss", "label_smooth_val": 0.1, "num_classes": 3}
    )
    assert loss(torch.zeros(2, 3), torch.tensor([0, 2])).isfinite()


def page_adapter() -> str:
    """The example of a user's adapter, as a reader would paste it."""
    text = PAGE.read_text()
    start = text.index("```python\n# my_adapters.py") + len("```python\n")
    return text[start : text.index("```", start)]


def use_from_config(folder: Path, extra: str, environment: dict) -> str:
    """Build a model with the example's adapter from a config, in a process of its own; return its classes."""
    config = folder / "config.py"
    config.write_text(
        extra + "model = dict(type='M3amba', in_channels=dict(hsi=9, lidar=1), num_classes=2, embed_dim=16,"
        "window=8, adapter=dict(type='LinearAdapter'), adapters=dict(hsi=dict(type='SpectralAdapter')),"
        "neck=dict(type='CrossMamba', depth=1, d_state=4))\n"
    )
    script = """
    import sys
    from mmengine.config import Config
    from m3amba_zoo.registry import MODELS
    model = MODELS.build(Config.fromfile(sys.argv[1]).model)
    print(type(model.adapters["hsi"]).__name__, type(model.adapters["lidar"]).__name__)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(config)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_adapter_in_a_users_file_by_custom_imports(tmp_path):
    (tmp_path / "my_adapters.py").write_text(page_adapter())
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    extra = "custom_imports = dict(imports=['my_adapters'])\n"
    assert use_from_config(tmp_path, extra, environment) == "SpectralAdapter LinearAdapter"


def test_adapter_in_an_installed_package_by_entry_point(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "my_adapters.py").write_text(page_adapter())
    (package / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='my-adapters', version='1', py_modules=['my_adapters'],\n"
        "      entry_points={'m3amba_zoo.plugins': ['my-adapters = my_adapters']})\n"
    )
    site = tmp_path / "site"
    options = ["-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    install = [sys.executable, "-m", "pip", "install", *options, str(package)]
    subprocess.run(install, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"}
    assert use_from_config(tmp_path, "", environment) == "SpectralAdapter LinearAdapter"
