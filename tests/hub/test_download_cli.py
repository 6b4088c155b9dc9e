"""``tools/download.py``: fetch, copy, list, verify, export."""

import subprocess
import sys
from dataclasses import replace
from types import ModuleType

import hostile_server
import pytest
from published import BARE, NAME, OTHER

from m3amba_zoo.cli import download
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import index
from m3amba_zoo.hub.index import index_text


@pytest.fixture
def mirror(published, tmp_path):
    for name in published.models:
        published.write(tmp_path / "mirror", name)
    return str(tmp_path / "mirror")


def test_names_are_fetched_and_copied(published, mirror, tmp_path, capsys):
    assert download.main(["get", NAME, OTHER, "--mirror", mirror]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{NAME}: {published.fetch()}"
    target = tmp_path / "mine" / NAME
    for _ in range(2):  # what is there already is left alone
        download.main(["get", NAME, "--to", str(tmp_path / "mine")])
    assert {path.name for path in target.iterdir()} == {file.path for file in published.models[NAME].files}
    (target / "config.py").write_text("mine")
    with pytest.raises(InputError, match="exists already, but not as published"):
        download.main(["get", NAME, "--to", str(tmp_path / "mine")])
    assert (target / "config.py").read_text() == "mine"


def test_nothing_is_fetched_if_a_name_has_no_weights_or_is_unknown(published, mirror):
    with pytest.raises(InputError, match="without weights: the scene may not be redistributed"):
        download.main(["get", NAME, BARE, "--mirror", mirror])
    with pytest.raises(InputError, match=f"did you mean '{NAME}'"):
        download.main(["get", OTHER, "m3amba-t_her", "--mirror", mirror])
    assert published.left() == []


def test_list_and_info_tell_what_is_published_and_where_it_is(published, mirror, capsys):
    published.fetch(mirror)
    of_one_seed = {"oa": {"mean": 0.5, "std": None}}
    models = dict(published.models)
    models[OTHER] = replace(models[OTHER], summary={**models[OTHER].summary, "results": of_one_seed})
    index.PACKAGE_INDEX.write_text(index_text(models))
    download.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    here = next(line for line in lines if NAME in line)
    assert all(part in here for part in ("idtrees", "hsi + lidar", "300.0 kB", "cache"))
    assert "none" in next(line for line in lines if BARE in line)
    assert " 50.0 " in next(line for line in lines if OTHER in line)
    download.main(["info", NAME])
    told = capsys.readouterr().out
    assert all(file.sha256 in told for file in published.models[NAME].files)
    assert f"here: {published.fetch()}" in told
    download.main(["info", BARE])
    assert "weights: none: the scene may not be redistributed" in capsys.readouterr().out


def test_verify_fails_for_a_damaged_or_absent_card(published, mirror, tmp_path, capsys, monkeypatch):
    assert download.main(["verify"]) == 0
    assert "nothing to verify" in capsys.readouterr().out
    folder = published.fetch(mirror)
    checkout = published.write(tmp_path / "checkout")
    assert download.main(["verify"]) == 0
    assert capsys.readouterr().out.count("verified") == 2
    golden = ModuleType("m3amba_zoo.hub.golden")
    golden.check_golden = lambda card, published: {"reference": 0.0, "cpu": 2.5e-6}
    monkeypatch.setitem(sys.modules, "m3amba_zoo.hub.golden", golden)
    assert download.main(["verify", "--golden", NAME]) == 0
    assert "golden logits within 0.0e+00 (reference), 2.5e-06 (cpu)" in capsys.readouterr().out
    (checkout / "README.md").unlink()
    (folder / "README.md").write_text("altered")
    assert download.main(["verify"]) == 1
    told = capsys.readouterr().out
    assert f"{checkout}: lacks README.md" in told
    assert "README.md: has 7 bytes" in told
    assert download.main(["verify", OTHER]) == 1
    assert "is not on this machine" in capsys.readouterr().out


def test_an_export_is_a_mirror_that_sha256sum_accepts(published, mirror, tmp_path, monkeypatch, capsys):
    target = tmp_path / "www" / "weights"
    assert download.main(["export", "--mirror", mirror, str(target)]) == 0
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=target, check=True)
    sums = (target / "SHA256SUMS").read_text().splitlines()
    files = {
        f"/{path.relative_to(target)}": path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert len(sums) == len(files) - 1
    assert {"/index.json", f"/{BARE}/README.md", published.weights()} < files.keys()
    monkeypatch.setenv("M3AMBA_CACHE", str(tmp_path / "fresh"))
    with hostile_server.serve(files) as server:
        assert published.fetch(server.url).parent == tmp_path / "fresh"
        assert published.fetch(f"{server.url}/{{model}}/{{file}}", name=OTHER)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert download.main(["export", "--mirror", mirror, str(target)]) == 0  # it is there already
    assert before == {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    (target / "notes.txt").touch()
    with pytest.raises(InputError, match="expected a new or empty folder"):
        download.main(["export", str(target)])


def test_an_export_of_what_cannot_be_had_leaves_nothing_behind(published, mirror, tmp_path):
    (tmp_path / "mirror" / OTHER / "config.py").unlink()
    with pytest.raises(InputError, match=f"model '{OTHER}' could not be fetched"):
        download.main(["export", str(tmp_path / "www"), "--mirror", mirror])
    assert not list(tmp_path.glob("www*"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        download.main(["export", str(tmp_path / "file" / "www"), NAME, "--mirror", mirror])
