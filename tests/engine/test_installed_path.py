"""Configs that inherit from an installed package, without pkg_resources."""

import sys
from pathlib import Path

import mmpretrain
import pytest
from mmengine.config import Config

from m3amba_zoo.config.reading import installed_path, mend_installed_path


def test_packages_are_found_by_module_and_by_distribution():
    assert installed_path("mmpretrain") == str(Path(mmpretrain.__file__).parent)
    assert installed_path("scikit-learn") == installed_path("sklearn")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        installed_path("no_such_package")


def test_a_config_inherits_from_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkg_resources", None)  # as where it has vanished
    mend_installed_path()
    path = tmp_path / "config.py"
    path.write_text('_base_ = ["mmpretrain::_base_/default_runtime.py"]\n')
    assert "default_hooks" in Config.fromfile(path)
