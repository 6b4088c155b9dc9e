"""The package's own names."""

import subprocess
import sys

import pytest

import m3amba_zoo


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, m3amba_zoo; print(sorted({'torch', 'mmengine', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", m3amba_zoo.__all__)
def test_every_public_name_is_there(name):
    assert getattr(m3amba_zoo, name) is not None
    assert name in dir(m3amba_zoo)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'m3amba_zoo' has no attribute 'm3amba2'"):
        m3amba_zoo.m3amba2  # noqa: B018 - the access is the test
