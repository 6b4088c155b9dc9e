"""Reading and writing checkpoints: what is refused, and that a failed write costs nothing."""

import os
import pickle
from datetime import date
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from m3amba_zoo.engine.checkpoint import durable_file, latest_checkpoint
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import read_checkpoint


class Payload:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "epoch_1.pth"


def refusal(path):
    with pytest.raises(InputError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stored", "named"),
    [(Payload(), "system"), (HistoryBuffer([1], [1]), "HistoryBuffer"), (date(2020, 1, 1), "datetime.date")],
    ids=["code", "MMEngine's history", "date"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_other_pickles_are_refused_by_name(path, stored, named, zipped):
    torch.save({"state_dict": {}, "message_hub": stored}, path, _use_new_zipfile_serialization=zipped)
    assert named in refusal(path)
    assert not Path("ran").exists()


def test_a_plain_pickle_is_refused(path):
    path.write_bytes(pickle.dumps(Payload(), protocol=2))
    refusal(path)
    assert not Path("ran").exists()


@pytest.mark.parametrize("kept", [0, 10, 700, -1])
def test_a_cut_file_is_refused(path, kept):
    torch.save({"state_dict": {"weight": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:kept])
    refusal(path)


def test_a_changed_byte_is_noticed(path):
    torch.save({"state_dict": {"weight": torch.full((1000,), 7.0)}}, path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((100,), 7.0).numpy().tobytes())] ^= 1
    path.write_bytes(content)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("content", [{"state_dict": 5}, {"meta": 5}, {"message_hub": 5}])
def test_parts_of_another_kind_are_refused(path, content):
    torch.save({"state_dict": {"weight": torch.zeros(1)}, **content}, path)
    assert "expected" in refusal(path)


def test_an_absent_file_is_refused(path):
    assert "no such checkpoint" in refusal(path)


def test_a_copied_work_dir_has_its_own_checkpoint(path):
    copy = path.parent / "copy"
    copy.mkdir()
    for folder in (path.parent, copy):
        (folder / path.name).touch()
        (folder / "last_checkpoint").write_text(str(path))  # as the run wrote it
    assert latest_checkpoint(copy) == copy / path.name
    (copy / path.name).unlink()
    assert latest_checkpoint(copy) == path


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_bare_weights_are_read(tmp_path, name):
    weights = {"layer.weight": torch.arange(6.0).reshape(2, 3)}
    (save_file if name.endswith("safetensors") else torch.save)(weights, tmp_path / name)
    checkpoint = read_checkpoint(tmp_path / name)
    assert torch.equal(checkpoint["state_dict"]["layer.weight"], weights["layer.weight"])
    assert checkpoint["meta"] == {}


def test_a_config_that_mmengine_would_execute_is_left_out(path):
    torch.save({"state_dict": {}, "meta": {"config": "import os", "epoch": 1}}, path)
    assert read_checkpoint(path)["meta"] == {"epoch": 1}


def test_an_interrupted_write_leaves_the_file_before(path, monkeypatch):
    path.write_bytes(b"first")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt), durable_file(path) as aside:
        aside.write_bytes(b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir() == [path.name]


def test_a_torchscript_archive_is_no_checkpoint(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "epoch_1.pth"))
    with pytest.raises(InputError, match=r"epoch_1\.pth: a TorchScript archive, which holds code"):
        read_checkpoint(tmp_path / "epoch_1.pth")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"state_dict": {"a": torch.zeros(1).expand(2**40)}}, "'a' is no plain tensor"),
        ({"state_dict": {"a": torch.eye(2).to_sparse()}}, "'a' is no plain tensor"),
        ({"state_dict": {}, "meta": {"epoch": "two"}}, "'meta.epoch' is a str, expected a whole number"),
        ({"state_dict": {}, "message_hub": {"runtime_info": 3}}, "'message_hub.runtime_info' is a int"),
        ({"state_dict": {}, "optimizer": []}, "'optimizer' is a list, expected a dict"),
        ({"state_dict": {}, "meta": {"seed": -1}}, "'meta.seed' is -1, expected 0 to"),
        ({"state_dict": {}, "meta": {"seed": 2**32}}, "'meta.seed' is 4294967296, expected 0 to"),
        ({"state_dict": {}, "meta": {"decided_by": "x"}}, "'meta.decided_by' is a str, expected a dict"),
        (
            {"state_dict": {}, "message_hub": {"runtime_info": {"freeze": 3}}},
            "'message_hub.runtime_info.freeze'",
        ),
    ],
)
def test_a_checkpoint_with_odd_content_is_refused(tmp_path, content, expected):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=f"a.pth: {expected}"):
        read_checkpoint(tmp_path / "a.pth")
