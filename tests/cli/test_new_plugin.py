"""``m3amba new plugin``: the package is installed, tested and trained, and its parts are listed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from m3amba_zoo.cli import new, parts
from m3amba_zoo.errors import InputError

REPOSITORY = Path(__file__).parents[2]


def test_a_new_package_installs_tests_and_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert new.main(["plugin", "my-adapters"]) == 0
    assert "next: pip install -e my-adapters" in capsys.readouterr().out
    site = tmp_path / "site"
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"}

    def python(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    options = ["-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(site)]
    python("pip", "install", *options, "./my-adapters")
    python("pytest", "-q", "-p", "no:cacheprovider", "my-adapters/tests")
    small = ["source.height=64", "source.width=128", "source.bands=8", "test_dataloader.dataset.overlap=0"]
    short = ["train_cfg.max_epochs=2", "train_dataloader.dataset.windows_per_epoch=16"]
    trained = python(
        "m3amba_zoo", "train", "my-adapters/my_adapters_demo.py", "--cfg-options", *small, *short
    )
    assert "test: oa" in trained
    listed = json.loads(python("m3amba_zoo", "parts", "adapters", "--json"))["adapters"]
    assert listed["MyAdapter"] == {
        "summary": "Convolves along the bands of each pixel before it projects them.",
        "module": "my_adapters.adapters",
        "origin": "my-adapters 0.1.0",
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9lives", "9lives: a package's name is expected"),
        ("a b", "a b: a package's name is expected"),
        ("class", "class: a package's name is expected, .* no word of Python's own"),
        ("p" * 65, "a package's name is expected, of at most 64 letters"),
        ("numpy", "numpy: there is a module 'numpy' already"),
        ("tests", "tests: there is a module 'tests' already"),
        ("Pillow", r"Pillow: would replace the installed package [Pp]illow [\d.]+; expected another name"),
        ("scikit_learn", r"scikit_learn: would replace the installed package scikit-learn [\d.]+"),
        ("linear", "linear: there is an adapter 'LinearAdapter' already"),
        ("held", "held: exists already and is not overwritten"),
    ],
)
def test_what_would_be_no_package_is_refused(name, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "held").mkdir()
    (tmp_path / "held/notes.txt").touch()
    with pytest.raises(InputError, match=expected):
        new.main(["plugin", name])
    assert [path.name for path in tmp_path.rglob("*")] == ["held", "notes.txt"]


def test_every_part_is_listed_once_with_a_line_and_its_origin(capsys):
    assert parts.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == list(parts.KINDS)
    assert "CrossMamba" in found["necks"]
    assert "CrossMamba" not in found["models"]
    assert all(
        part["summary"] for kind in found.values() for part in kind.values() if "tests" not in part["module"]
    )
    assert found["adapters"]["LinearAdapter"]["origin"].startswith("m3amba_zoo ")
    assert parts.main(["necks"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "necks:"
    with pytest.raises(InputError, match="no kind of parts is called 'neck'; did you mean 'necks'"):
        parts.main(["neck"])
    for kind, within in parts.WITHIN.items():
        with pytest.raises(
            InputError, match=rf"'{kind}'; {kind} are listed among the {within} \('m3amba parts"
        ):
            parts.main([kind])
