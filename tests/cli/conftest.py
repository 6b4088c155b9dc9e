"""A small run's config file."""

import pytest
from toy_commands import RUNTIME
from toy_run import CONFIG


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config file in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.py"
    path.write_text(CONFIG.format(runtime=RUNTIME))
    return path


@pytest.fixture
def plain(config):
    """The same with MMEngine's own Runner and hooks."""
    config.write_text(CONFIG.replace('_base_ = ["{runtime}"]', 'default_scope = "m3amba_zoo"'))
    return config
