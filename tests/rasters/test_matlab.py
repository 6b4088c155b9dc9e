"""MATLAB files of every version read alike, and damaged ones end in one sentence."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matlab import list_variables, read_image, read_variable

CUBE = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4)
HEIGHTS = [np.full((2, 3), 1.5), np.full((2, 3), 2.5)]


def write_v5(path: Path, compressed: bool = False) -> Path:
    returns = np.empty((1, 2), object)
    for index, z in enumerate(HEIGHTS):
        returns[0, index] = {"z": z, "info": f"return {index + 1}"}
    variables = {"cube": CUBE, "hsi": {"Data": CUBE, "Lidar": returns, "None": np.zeros((0, 3))}}
    scipy.io.savemat(path, variables, do_compression=compressed)
    return path


def write_v73(path: Path) -> Path:
    """Write what MATLAB's ``save -v7.3`` writes: reversed axes, structs as groups, cells as references."""

    def dataset(
        group: h5py.Group, name: str, values: np.ndarray, kind: str, **attributes: int
    ) -> h5py.Dataset:
        node = group.create_dataset(name, data=values)
        node.attrs["MATLAB_class"] = np.bytes_(kind)
        node.attrs.update(attributes)
        return node

    with h5py.File(path, "w", userblock_size=512) as file:
        dataset(file, "cube", CUBE.T, "uint16")
        references = []
        for index, z in enumerate(HEIGHTS):
            lidar = file.create_group(f"#refs#/{index}")
            lidar.attrs["MATLAB_class"] = np.bytes_("struct")
            dataset(lidar, "z", z.T, "double")
            text = np.frombuffer(f"return {index + 1}".encode(), np.uint8).astype(np.uint16)
            dataset(lidar, "info", text[:, None], "char", MATLAB_int_decode=2)
            references.append(lidar.ref)
        hsi = file.create_group("hsi")
        hsi.attrs["MATLAB_class"] = np.bytes_("struct")
        dataset(hsi, "Data", CUBE.T, "uint16")
        dataset(hsi, "Lidar", np.array(references, h5py.ref_dtype)[:, None], "cell")
        dataset(hsi, "None", np.array([0, 3], np.uint64), "double", MATLAB_empty=1)
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header)
    return path


WRITERS = {
    "v5": write_v5,
    "v5 compressed": lambda path: write_v5(path, compressed=True),
    "v7.3": write_v73,
}


@pytest.fixture(params=WRITERS)
def mat(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path / "scene.mat")


def test_versions_read_alike(mat: Path) -> None:
    listed = list_variables(mat)
    assert listed["cube"] == ((2, 3, 4), "uint16")
    assert listed["hsi"] == ((1, 1), "struct")
    for key in ("cube", "hsi.Data"):
        value = read_variable(mat, key)
        assert value.dtype == np.uint16
        np.testing.assert_array_equal(value, CUBE)
    for index, z in enumerate(HEIGHTS):
        np.testing.assert_array_equal(read_variable(mat, f"hsi.Lidar.{index}.z"), z)
        assert read_variable(mat, f"hsi.Lidar.{index}.info") == f"return {index + 1}"
    assert read_variable(mat, "hsi.None").shape == (0, 3)
    assert set(read_variable(mat, "hsi")) == {"Data", "Lidar", "None"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Cube", "no key 'Cube', the file has 'cube', 'hsi'"),
        ("hsi.data", "'hsi' has no field 'data', it has 'Data', 'Lidar', 'None'"),
        ("hsi.Lidar.2", "'hsi.Lidar' is a cell of 2, it has no element 2"),
        ("cube.z", "'cube' is not a struct"),
    ],
)
def test_missing_key_names_those_found(mat: Path, key: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        read_variable(mat, key)
    assert str(mat) in str(caught.value)


def test_cut_short_anywhere(mat: Path) -> None:
    whole = mat.read_bytes()
    messages = []
    for size in range(0, len(whole), max(len(whole) // 40, 1)):
        mat.write_bytes(whole[:size])
        try:
            value = read_variable(mat, "cube")
        except InputError as error:
            messages.append(str(error))
        else:  # cut behind the variable asked for
            np.testing.assert_array_equal(value, CUBE)
    assert messages
    assert all(str(mat) in message and "\n" not in message for message in messages)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_variable(tmp_path / "absent.mat", "cube")
    scipy.io.savemat(tmp_path / "struct.mat", {"s": {"cube": CUBE, "nm": [1.0]}})
    with pytest.raises(InputError, match=r"key 's' holds a struct of s\.cube, s\.nm, expected real numbers"):
        read_image(tmp_path / "struct.mat", "s")
    page = tmp_path / "page.mat"
    page.write_text("<html>please log in to download this file</html>" * 20)
    with pytest.raises(InputError, match="not a readable MATLAB file"):
        list_variables(page)


@pytest.mark.parametrize(
    ("offset", "value", "expected"),
    [
        (132, 2**31 - 1, "bytes are left|are left"),
        (144, 200, "an array of class 200"),  # an index beyond scipy's table: it ends the process
        (152, 19, "type 19, expected"),
        (160, 2**31 - 1, "numbers of"),
        (176 + 8, 40, "type 40, expected"),
    ],
)
def test_an_element_that_would_crash_the_reader_is_refused(tmp_path: Path, offset, value, expected) -> None:
    path = tmp_path / "cube.mat"
    scipy.io.savemat(path, {"cubecube": np.zeros((4, 5))})
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_variable(path, "cubecube")
    assert str(path) in str(caught.value)
