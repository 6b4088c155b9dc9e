"""The constraints of CI's lowest versions are those of setup.cfg."""

from configparser import ConfigParser
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def requirements(text):
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def test_the_lowest_versions_are_those_of_setup_cfg():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lowest = {}
    for needed in requirements(setup["options"]["install_requires"]):
        (lowest[needed.name],) = [one.version for one in needed.specifier if one.operator == ">="]
    pinned = {}
    for pin in requirements((ROOT / ".ci" / "constraints-lowest.txt").read_text(encoding="utf-8")):
        (exact,) = pin.specifier
        assert exact.operator == "==", pin
        pinned[pin.name] = exact.version
    assert pinned == lowest
