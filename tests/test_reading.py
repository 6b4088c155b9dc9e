"""What libraries raise becomes a sentence; what this package does wrong keeps its traceback."""

import json
import os

import numpy as np
import pytest

from m3amba_zoo.errors import LONGEST, InputError
from m3amba_zoo.rasters.needed_bands import check_plausible
from m3amba_zoo.reading import check_schema, library_errors, read_arrays, read_json, read_table


def test_an_error_of_a_library_is_one_sentence(tmp_path):
    says = pytest.raises(InputError, match=r"a\.npy: not NumPy \(.+\); fetch it again$")
    with says, library_errors("a.npy", "not NumPy", "fetch it again"):
        np.load(__file__)
    with pytest.raises(InputError, match=r"^a\.npy: no such file"), library_errors("a.npy", "not NumPy"):
        np.load(tmp_path / "absent")
    with pytest.raises(InputError, match="more memory than there is"), library_errors("a", "not read"):
        np.zeros(2**50)


def test_a_defect_of_this_package_is_no_sentence():
    with pytest.raises(TypeError), library_errors("a.npy", "not NumPy"):
        check_plausible(None, "m", "hsi")  # type: ignore[arg-type]


def test_a_message_stays_on_one_line_whatever_it_quotes():
    text = str(InputError("a.yaml: name is 'two\nlines \x1b[31mred\x00 é\u2028', expected " + "x" * 100_000))
    assert len(text) <= LONGEST
    assert text.isprintable()
    assert r"two lines \x1b[31mred\x00 é" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[" * 100_000, "nested too deep"),
        (b'{"oa": NaN}', "NaN is no number"),
        (b'{"oa": 1e999}', "1e999 is no number"),
        (b"\xff\xfe", "damaged, not JSON"),
        (b"1" * 5000, "damaged, not JSON"),
    ],
)
def test_what_is_not_json_is_refused(tmp_path, content, expected):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.json: .*{expected}"):
        read_json(tmp_path / "a.json")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"a\.json: is a pipe, expected a file"):
        read_json(tmp_path / "a.json")


def test_json_and_tables_have_their_byte_order_mark_taken_off(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": 1}).encode())
    assert read_json(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "a.csv").write_text("\ufefftree,taxon\nM1,ACRU\n", encoding="utf-8")
    assert read_table(tmp_path / "a.csv", ("tree",))[1] == [
        (f"{tmp_path}/a.csv, line 2", {"tree": "M1", "taxon": "ACRU"})
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a,b\n1\n", "line 2: expected 2 values"), ("a,a\n", "two columns"), ("b\n", "no column 'a'")],
)
def test_a_table_with_holes_is_refused(tmp_path, text, expected):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=expected):
        read_table(tmp_path / "a.csv", ("a",))


def test_an_archive_of_other_things_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(2))
    assert read_arrays(tmp_path / "a.npy", "no archive") == {}
    np.savez(tmp_path / "a.npz", a=np.array([{}], object))
    with pytest.raises(InputError, match=r"a\.npz: no archive \(.*Object arrays"):
        read_arrays(tmp_path / "a.npz", "no archive")


def test_a_whole_number_is_no_fraction():
    schema = {"properties": {"count": {"type": "integer"}}}
    check_schema({"count": 2}, schema, "a.json")
    for value in (2.0, True, "2"):
        with pytest.raises(InputError, match=r"a\.json: in count, .* is not of type 'integer'"):
            check_schema({"count": value}, schema, "a.json")
