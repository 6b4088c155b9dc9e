"""Stand-ins: the host's layout read back, official counts, and never in place of real data."""

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from m3amba_zoo.cli import simulate
from m3amba_zoo.errors import InputError
from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.muufl import MUUFL
from m3amba_zoo.scenes.s2fl import Augsburg, Berlin
from m3amba_zoo.scenes.simulated_files import write_stand_in
from m3amba_zoo.scenes.standard_scene import MARKER
from m3amba_zoo.scenes.trento import Trento

SIZE = (40, 52)
STANDARD_SCENES = {
    "houston2013": Houston2013,
    "augsburg": Augsburg,
    "berlin": Berlin,
    "muufl": MUUFL,
    "trento": Trento,
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the scenes to a size that tests can simulate; bands and classes stay."""
    for scene in STANDARD_SCENES.values():
        monkeypatch.setattr(scene, "size", SIZE)
        monkeypatch.setattr(scene, "train_counts", (3,) * len(scene.classes))
        monkeypatch.setattr(scene, "test_counts", (9,) * len(scene.classes))


@pytest.mark.parametrize("name", STANDARD_SCENES)
def test_stand_in(name: str, tmp_path: Path) -> None:
    source = STANDARD_SCENES[name](tmp_path / name, modalities=STANDARD_SCENES[name].modalities)
    assert not source.simulated
    written = write_stand_in(source, tmp_path / name, seed=3)

    assert sorted(written) == sorted((tmp_path / name).iterdir())
    assert source.simulated
    (scene,) = source.load()
    assert scene.name == f"simulated_{name}"
    for modality, raster in scene.rasters.items():
        described = source.modalities[modality]
        assert raster.data.shape == (described.bands, *SIZE)
        assert raster.data.dtype == described.dtype
        assert all(band.std() > 0 for band in raster.data)
    expected = np.array(source.train_counts) + source.test_counts
    np.testing.assert_array_equal(np.bincount(scene.labels.ravel())[1:], expected)
    if name == "muufl":
        assert scene.official is None
    else:
        assert scene.official is not None
        for part, counts in (("train", source.train_counts), ("test", source.test_counts)):
            labels = scene.labels[scene.official[part]]
            np.testing.assert_array_equal(np.bincount(labels)[1:], counts)

    write_stand_in(source, tmp_path / name, seed=3)  # replaces the first, with the same data
    (again,) = source.load()
    np.testing.assert_array_equal(again.labels, scene.labels)
    for modality, raster in scene.rasters.items():
        np.testing.assert_array_equal(again.rasters[modality].data, raster.data)
    write_stand_in(source, tmp_path / name, seed=4)
    (other,) = source.load()
    assert (other.labels != scene.labels).any()


def test_muufl_returns_differ(tmp_path: Path) -> None:
    write_stand_in(MUUFL(), tmp_path / "muufl")
    (first,) = MUUFL(tmp_path / "muufl").load()
    (second,) = MUUFL(tmp_path / "muufl", lidar_return=2, bands={"lidar": [1]}).load()
    assert first.rasters["lidar"].data.shape == (2, *SIZE)
    assert second.rasters["lidar"].data.shape == (1, *SIZE)
    assert (first.rasters["lidar"].data[1] != second.rasters["lidar"].data[0]).any()


def test_stand_in_never_replaces_real_data(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "HSI.mat").write_bytes(b"measured")
    before = {file: file.read_bytes() for file in (tmp_path / "real").iterdir()}
    write_stand_in(Houston2013(), tmp_path / "mixed")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    write_stand_in(Houston2013(), tmp_path / "foreign marker")
    (tmp_path / "foreign marker" / MARKER).write_text("{}")
    for folder, named in (("real", "HSI.mat"), ("mixed", "notes.txt"), ("foreign marker", "HSI.mat")):
        with pytest.raises(InputError, match=rf"{folder}: holds .*{named}.*--to"):
            write_stand_in(Houston2013(), tmp_path / folder)
    assert {file: file.read_bytes() for file in (tmp_path / "real").iterdir()} == before
    assert (tmp_path / "mixed" / "notes.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3  # nothing is left aside


def test_stand_in_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = scipy.io.savemat

    def full_disk(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.name.startswith("TS"):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, *args, **kwargs)

    monkeypatch.setattr(scipy.io, "savemat", full_disk)
    with pytest.raises(InputError, match=r"houston2013: .*cannot be written \(No space left on device"):
        write_stand_in(Houston2013(), tmp_path / "houston2013")
    assert list(tmp_path.iterdir()) == []


def test_simulate_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate.main(["trento", "--to", str(tmp_path / "made"), "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert "Italy_hsi.mat" in said
    assert f"M3AMBA_DATA={tmp_path / 'made'}" in said
    assert json.loads((tmp_path / "made" / "trento" / MARKER).read_text())["seed"] == 5
    monkeypatch.setenv("M3AMBA_DATA", str(tmp_path / "made"))
    (scene,) = Trento().load()
    assert scene.name == "simulated_trento"

    with pytest.raises(InputError, match="did you mean 'trento'"):
        simulate.main(["trentoo"])
    with pytest.raises(InputError, match="'simulated' needs no stand-in"):
        simulate.main(["simulated"])
    with pytest.raises(InputError, match="seed is -1"):
        simulate.main(["trento", "--to", str(tmp_path / "negative"), "--seed", "-1"])
    assert not (tmp_path / "negative" / "trento").exists()
