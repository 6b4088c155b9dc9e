import errno

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.splits import Split, build_split


@pytest.fixture
def split(one_scene):
    return build_split({"type": "blocks", "size": 16, "guard": 4}, one_scene)


def test_a_saved_split_comes_back(split, tmp_path):
    split.save(tmp_path / "any.name")
    read = Split.read(tmp_path / "any.name")
    assert (read.name, read.sha256) == (split.name, split.sha256)
    for part, mask in split.masks["town"].items():
        assert (read.masks["town"][part] == mask).all()
    assert [path.name for path in tmp_path.iterdir()] == ["any.name"]


def test_the_hash_is_of_the_masks(split):
    assert Split("renamed", split.masks).sha256 == split.sha256
    moved = {**split.masks["town"], "val": split.masks["town"]["test"], "test": split.masks["town"]["val"]}
    assert Split(split.name, {"town": moved}).sha256 != split.sha256
    assert Split(split.name, {"city": split.masks["town"]}).sha256 != split.sha256


def test_splits_with_one_test_part_share_its_hash(one_scene):
    made = {"type": "blocks", "size": 16, "guard": 4}
    drawn = [
        build_split({**made, "val": {"fraction": 0.3, "guard": 2, "seed": seed}}, one_scene)
        for seed in (0, 1)
    ]
    assert len({one.sha256 for one in drawn}) == 2
    plain = build_split(made, one_scene)
    assert {one.test_sha256 for one in drawn} == {plain.test_sha256}
    assert build_split({**made, "seed": 1}, one_scene).test_sha256 != plain.test_sha256
    assert Split("renamed", {"city": plain.masks["town"]}).test_sha256 != plain.test_sha256


def test_a_changed_mask_is_noticed(split, tmp_path):
    split.save(tmp_path / "split.npz")
    with np.load(tmp_path / "split.npz") as file:
        arrays = dict(file)
    train = arrays["town/train"]
    train[tuple(np.argwhere(train)[0])] = False
    np.savez(tmp_path / "split.npz", **arrays)
    with pytest.raises(InputError, match=r"split.npz: the masks' sha256 is \w{64}, but the file says"):
        Split.read(tmp_path / "split.npz")


def test_files_that_are_not_splits(split, tmp_path):
    path = tmp_path / "split.npz"
    split.save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        without_val = {key: file[key] for key in file.files if key != "town/val"}
    for content in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"split\.npz"):
            Split.read(path)
    for arrays in ({"masks": np.zeros(3)}, {"header": np.array("[1]")}, without_val):
        np.savez(path, **arrays)
        with pytest.raises(InputError, match=r"split\.npz"):
            Split.read(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"one\.npy: not a split"):
        Split.read(tmp_path / "one.npy")
    with pytest.raises(InputError, match=r"not a split|is a folder"):
        Split.read(tmp_path)


def test_a_flipped_byte_is_refused_or_harmless(split, tmp_path):
    split.save(tmp_path / "split.npz")
    whole = (tmp_path / "split.npz").read_bytes()
    refused = 0
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        (tmp_path / "damaged.npz").write_bytes(damaged)
        try:
            assert Split.read(tmp_path / "damaged.npz").sha256 == split.sha256
        except InputError:
            refused += 1
    assert refused


def test_masks_that_do_not_make_a_split(split):
    masks = dict(split.masks["town"])
    for wrong in (
        {**masks, "val": masks["train"]},
        {**masks, "val": masks["val"][1:]},
        {**masks, "val": masks["val"].astype(int)},
        {"train": masks["train"], "test": masks["test"]},
    ):
        with pytest.raises(InputError, match="scene 'town'"):
            Split("wrong", {"town": wrong})


def test_a_full_disk_leaves_the_old_file(split, tmp_path, monkeypatch):
    path = tmp_path / "split.npz"
    path.write_bytes(b"old")

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match=r"split.npz: cannot be written \(No space left"):
        split.save(path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder(split, tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        split.save(tmp_path / "absent" / "split.npz")
