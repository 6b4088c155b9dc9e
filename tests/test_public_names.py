"""The package's own names."""

import subprocess
import sys

import pytest

import m3amba_zoo


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, m3amba_zoo; print(sorted({'torch', 'mmengine', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_models_imports_no_torch():
    code = "import sys, m3amba_zoo; print(len(m3amba_zoo.list_models('m3amba-t_*')), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, torch = done.stdout.split()
    assert int(count) > 0
    assert torch == "False"


def test_models_are_listed_by_patterns(tmp_path, monkeypatch):
    for name in ("mine_a", "mine_b", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.py").touch()
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    assert m3amba_zoo.list_models("mine_*") == ["mine_a", "mine_b"]
    assert m3amba_zoo.list_models(["other", "*_b"]) == ["mine_b", "other"]
    assert m3amba_zoo.list_models("mine") == []
    assert {"mine_a", "other"} < set(m3amba_zoo.list_models())


@pytest.mark.parametrize("name", m3amba_zoo.__all__)
def test_every_public_name_is_there(name):
    assert getattr(m3amba_zoo, name) is not None
    assert name in dir(m3amba_zoo)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'m3amba_zoo' has no attribute 'm3amba2'"):
        m3amba_zoo.m3amba2  # noqa: B018 - the access is the test
