"""The standard scenes: every host's layout, every damage."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from host_layouts import LAYOUTS, SIZE, Files, arrays, houston_files, write
from source_counts import check_counts

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.muufl import MUUFL
from m3amba_zoo.scenes.s2fl import Augsburg, Berlin
from m3amba_zoo.scenes.trento import Trento

STANDARD_SCENES = (Houston2013, Augsburg, Berlin, MUUFL, Trento)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink the scenes to a size that tests can write; bands and classes stay."""
    for scene in STANDARD_SCENES:
        monkeypatch.setattr(scene, "size", SIZE)
        monkeypatch.setattr(scene, "train_counts", (3,) * len(scene.classes))
        monkeypatch.setattr(scene, "test_counts", (9,) * len(scene.classes))


@pytest.mark.parametrize("version", ["v5", "v7.3"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, version: str, tmp_path: Path) -> None:
    kind, named = LAYOUTS[layout]
    made = arrays(kind)
    files = {file: {key: made[role] for key, role in keys.items()} for file, keys in named.items()}
    write(tmp_path, files, version)
    roles = {role for keys in named.values() for role in keys.values()}

    source = kind(tmp_path, modalities=[name for name in kind.modalities if name in roles])
    (scene,) = source.load()

    check_counts(source, [scene])
    assert scene.name == source.name
    assert list(scene.rasters) == list(source.modalities)
    for name, raster in scene.rasters.items():
        assert raster.data.dtype == made[name].dtype
        np.testing.assert_array_equal(raster.data, np.atleast_3d(made[name]).transpose(2, 0, 1))
    np.testing.assert_array_equal(scene.labels, made["whole"])
    if kind is MUUFL or "train" not in roles:
        assert scene.official is None
    else:
        assert scene.official is not None
        np.testing.assert_array_equal(scene.official["train"], made["train"] > 0)
        np.testing.assert_array_equal(scene.official["test"], made["test"] > 0)


@pytest.mark.parametrize("driver", ["GTiff", "ENVI"])
def test_houston_as_the_contest_gave_it_out(driver: str, tmp_path: Path) -> None:
    made = arrays(Houston2013)
    crs, transform = rasterio.CRS.from_epsg(32615), rasterio.Affine(2.5, 0, 271460, 0, -2.5, 3290891)
    for name, role in (("CASI", "hsi"), ("LiDAR", "lidar")):
        image = np.atleast_3d(made[role]).transpose(2, 0, 1)
        path = tmp_path / f"2013_IEEE_GRSS_DF_Contest_{name}.{'tif' if driver == 'GTiff' else 'img'}"
        profile = {"driver": driver, "height": SIZE[0], "width": SIZE[1], "count": len(image)}
        with rasterio.open(path, "w", dtype=image.dtype, crs=crs, transform=transform, **profile) as file:
            file.write(image)
    for name, role in (("TR", "train"), ("VA", "test")):
        path = tmp_path / f"2013_IEEE_GRSS_DF_Contest_Samples_{name}.txt"
        path.write_text(regions(made[role]))

    (scene,) = Houston2013(tmp_path).load()

    np.testing.assert_array_equal(scene.rasters["hsi"].data, made["hsi"].transpose(2, 0, 1))
    np.testing.assert_array_equal(scene.rasters["lidar"].data[0], made["lidar"])
    np.testing.assert_array_equal(scene.labels, made["whole"])
    assert scene.official is not None
    np.testing.assert_array_equal(scene.official["train"], made["train"] > 0)
    assert scene.transform == transform
    assert rasterio.CRS.from_user_input(scene.crs) == crs

    cut = (tmp_path / "2013_IEEE_GRSS_DF_Contest_Samples_TR.txt").read_text().splitlines()[:-3]
    (tmp_path / "2013_IEEE_GRSS_DF_Contest_Samples_TR.txt").write_text("\n".join(cut))
    with pytest.raises(InputError, match=r"Samples_TR.txt: 42 points, .* announce 45 in 15 regions"):
        Houston2013(tmp_path).load(rasters=False)


def regions(mask: np.ndarray) -> str:
    """Regions of interest as ENVI writes them as text."""
    head, body = ["; ENVI Output of ROIs", f"; File Dimension: {SIZE[1]} x {SIZE[0]}"], []
    for label in range(1, mask.max() + 1):
        points = np.argwhere(mask == label)
        head += [
            ";",
            f"; ROI name: class {label}",
            "; ROI rgb value: {0, 205, 0}",
            f"; ROI npts: {len(points)}",
        ]
        body += [f"  {index}  {column + 1}  {row + 1}" for index, (row, column) in enumerate(points, 1)] + [
            ""
        ]
    return "\n".join([*head, ";    ID     X    Y", *body])


def test_masks_alone(tmp_path: Path) -> None:
    files = {file: keys for file, keys in houston_files().items() if "Label" in file}
    (scene,) = Houston2013(write(tmp_path, files)).load(rasters=False)
    assert scene.rasters == {}
    assert scene.labelled.sum() == 15 * 12


def test_absent_data_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M3AMBA_DATA", str(tmp_path))
    files = {file: keys for file, keys in houston_files().items() if "Label" in file}
    write(tmp_path / "houston2013", files)
    with pytest.raises(DataNotFoundError) as caught:
        SOURCES.build({"type": "houston2013"}).load()
    message = str(caught.value)
    for expected in (
        "lacks 'hsi' and 'lidar'",
        "Data Fusion Contest",
        "HSI.mat (key HSI)",
        "40 x 52 x 144",
        "LiDAR_1.mat (key LiDAR)",
        "houston2013 under $M3AMBA_DATA",
        "`m3amba simulate houston2013 --to DIR`",
    ):
        assert expected in message
    assert "mask" not in message
    assert "\n" not in message
    with pytest.raises(DataNotFoundError, match="lacks the train mask and the test mask"):
        SOURCES.build({"type": "berlin"}).load(rasters=False)


def changed(file: str, key: str, change: Callable[[np.ndarray], Any]) -> Callable[[Files], None]:
    def damage(files: Files) -> None:
        files[file][key] = change(files[file][key])

    return damage


def put(value: float, dtype: str | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Put a value at row 2, column 3 (of band 1)."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype or array.dtype)
        array[(2, 3, 1)[: array.ndim]] = value
        return array

    return change


def other_key(files: Files) -> None:
    files["HSI.mat"] = {"cube": files["HSI.mat"]["HSI"]}


def twice(files: Files) -> None:
    files["a.mat"] = files["b.mat"] = files.pop("HSI.mat")


DAMAGES: dict[str, tuple[Callable[[Files], None], str]] = {
    "key absent": (
        other_key,
        r"HSI\.mat: expected HSI\.mat \(key HSI\), the file has 'cube' \(40 x 52 x 144 ",
    ),
    "key twice": (twice, r"HSI\.mat \(key HSI\) may be a\.mat or b\.mat; keep one"),
    "rows": (
        changed("HSI.mat", "HSI", lambda array: array[1:]),
        r"HSI\.mat: key 'HSI' is 39 x 52 x 144, expected 40 x 52 x 144",
    ),
    "bands": (
        changed("HSI.mat", "HSI", lambda array: array[..., :48]),
        r"key 'HSI' is 40 x 52 x 48, expected 40 x 52 x 144",
    ),
    "turned": (changed("LiDAR.mat", "LiDAR", np.transpose), r"'LiDAR' is 52 x 40, expected 40 x 52 "),
    "infinite spectrum": (
        changed("HSI.mat", "HSI", put(np.inf, "float32")),
        r"'HSI'.* band 1 \(369 nm\) of 'hsi' .* infinite .* row 2, column 3",
    ),
    "infinite": (
        changed("LiDAR.mat", "LiDAR", put(np.inf)),
        r"'LiDAR'.* band 0 of 'lidar' .* row 2, column 3",
    ),
    "text": (changed("HSI.mat", "HSI", lambda array: "see readme"), r"key 'HSI' holds a text, expected real"),
    "complex": (
        changed("HSI.mat", "HSI", lambda array: array * 1j),
        r"key 'HSI' holds complex128 \(40, 52, 144\)",
    ),
    "labels of another size": (
        changed("TRLabel.mat", "TRLabel", lambda array: array[:, 1:]),
        r"'TRLabel' is 40 x 51, expected 40 x 52",
    ),
    "label beyond the classes": (
        changed("TSLabel.mat", "TSLabel", put(16)),
        r"'TSLabel' holds the label 16 at row 2, column 3, expected 0 \(unlabelled\) or 1\.\.15",
    ),
    "label below": (changed("TSLabel.mat", "TSLabel", put(-1, "int16")), "holds the label -1"),
    "label between": (changed("TSLabel.mat", "TSLabel", put(2.5, "float64")), r"holds the label 2\.5"),
    "label NaN": (changed("TSLabel.mat", "TSLabel", put(np.nan, "float64")), "holds the label nan"),
    "overlap": (
        lambda files: files.update({"TSLabel.mat": {"TSLabel": files["TRLabel.mat"]["TRLabel"]}}),
        r"TRLabel.* and .*TSLabel.*: 45 pixels are in both masks",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(damage: str, tmp_path: Path) -> None:
    do, expected = DAMAGES[damage]
    files = houston_files()
    do(files)
    with pytest.raises(InputError, match=expected) as caught:
        Houston2013(write(tmp_path, files)).load()
    assert not isinstance(caught.value, DataNotFoundError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["HSI.mat", "TRLabel.mat"])
@pytest.mark.parametrize("size", [0, 100, 300])
def test_file_cut_short(name: str, size: int, tmp_path: Path) -> None:
    write(tmp_path, houston_files())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:size])
    with pytest.raises(
        InputError, match=rf"{name}: not a readable MATLAB file, it may be cut short"
    ) as caught:
        Houston2013(tmp_path).load()
    assert not isinstance(caught.value, DataNotFoundError)


def test_unused_broken_file_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, houston_files())
    (tmp_path / "notes.mat").write_text("not MATLAB")
    assert Houston2013(tmp_path).load()


def test_trento_labels_that_contradict_the_training_mask(tmp_path: Path) -> None:
    made = arrays(Trento)
    made["train"][made["train"] == 2] = 3
    files = {"allgrd.mat": {"mask_test": made["whole"]}, "TRLabel.mat": {"TRLabel": made["train"]}}
    with pytest.raises(InputError, match=r"TRLabel.mat.*allgrd.mat.*: 3 pixels differ in label"):
        Trento(write(tmp_path, files)).load(rasters=False)


def test_trento_without_its_split_names_the_file_to_fetch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = arrays(Trento)
    folder = write(tmp_path, {"allgrd.mat": {"mask_test": made["whole"]}})
    Trento(folder).load(rasters=False)
    assert "no TRLabel.mat (key TRLabel, 819 training pixels)" in caplog.text
    caplog.clear()
    write(tmp_path, {"TRLabel.mat": {"TRLabel": made["train"]}})
    Trento(folder).load(rasters=False)
    assert not caplog.text


def test_masks_other_than_published_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = houston_files()
    files["TRLabel.mat"]["TRLabel"][files["TRLabel.mat"]["TRLabel"] == 4] = 0
    with caplog.at_level(logging.WARNING):
        Houston2013(write(tmp_path, files)).load(rasters=False)
    assert "the train mask holds 42 pixels" in caplog.text
    assert "the published one 45" in caplog.text
    assert "test mask" not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"modalities": ["sar"]}, "muufl has no modality 'sar', it has hsi, lidar"),
        ({"bands": {"lidar": [2]}}, r"bands \[2\] of 'lidar', expected some of 0\.\.1"),
        ({"bands": {"lidar": []}}, r"bands \[\] of 'lidar'"),
        ({"lidar_return": 3}, "lidar_return is 3, expected 1 or 2"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        MUUFL(**arguments)


def test_bands_and_classes_are_known_without_files(tmp_path: Path) -> None:
    source = Augsburg(tmp_path / "absent", modalities=["sar", "hsi"], bands={"hsi": [3, 9, 4]})
    assert list(source.channels().items()) == [("sar", 4), ("hsi", 3)]
    assert source.num_classes() == 7


def test_chosen_bands_keep_their_wavelengths(tmp_path: Path) -> None:
    write(tmp_path, houston_files())
    (whole,) = Houston2013(tmp_path).load()
    source = Houston2013(tmp_path, modalities=["hsi"], bands={"hsi": [7, 0]})
    (scene,) = source.load()
    check_counts(source, [scene])
    assert list(scene.rasters) == ["hsi"]
    np.testing.assert_array_equal(scene.rasters["hsi"].data, whole.rasters["hsi"].data[[7, 0]])
    np.testing.assert_array_equal(scene.rasters["hsi"].wavelengths, [397.4, 364.0])
