"""The authors' checkpoint file becomes a folder that loads, or nothing is written."""

import json
import os

import open_clip
import pytest
import torch

from m3amba_zoo import m3amba
from m3amba_zoo.cli import convert_reference
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import TrainedModel
from workshop.fuzzing.authors_layout import in_authors_layout


def convert(*arguments):
    return convert_reference.main([str(argument) for argument in arguments])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return m3amba({"hsi": 6, "sar": 2}, 3, embed_dim=16, depth=2, d_state=4, window=8).eval()


@pytest.fixture
def checkpoint(model, tmp_path):
    state = {name.replace(".sar.", ".lidar."): value for name, value in model.state_dict().items()}
    torch.save(in_authors_layout(state), tmp_path / "Houston.pth")
    return tmp_path / "Houston.pth"


def test_a_converted_checkpoint_loads_and_answers_as_before(model, checkpoint, tmp_path, capsys):
    assert convert(checkpoint, "--out", tmp_path / "out", "--modalities", "hsi", "sar", "--clip", "none") == 0
    assert "out/config.py" in capsys.readouterr().out
    loaded = TrainedModel.from_folder(tmp_path / "out")
    assert loaded.window == 8
    inputs = {"hsi": torch.randn(2, 6, 8, 8), "sar": torch.randn(2, 2, 8, 8)}
    features = {modality: torch.randn(2, 512) for modality in inputs}
    expected, found = model(inputs, features), loaded.model.eval()(inputs, features)
    for stream, logits in expected.items():
        torch.testing.assert_close(found[stream], logits)


def test_the_convolutions_before_clip_come_with_an_encoder(tmp_path):
    name = tmp_path / "ViT-tiny-reference.json"
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
    name.write_text(json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(name)
    torch.save(open_clip.create_model(name.stem).state_dict(), tmp_path / "clip.pt")
    clip = {"name": str(name), "weights": str(tmp_path / "clip.pt")}
    model = m3amba({"hsi": 6, "lidar": 1}, 3, embed_dim=16, depth=1, d_state=4, window=8, clip=clip).eval()
    state = {key: value for key, value in model.state_dict().items() if "fingerprint" not in key}
    torch.save(in_authors_layout(state), tmp_path / "whole.pth")
    convert(tmp_path / "whole.pth", "--out", tmp_path / "out", "--clip", clip["weights"], "--clip-name", name)
    inputs = {"hsi": torch.randn(1, 6, 8, 8), "lidar": torch.randn(1, 1, 8, 8)}
    loaded = TrainedModel.from_folder(tmp_path / "out").model.eval()
    torch.testing.assert_close(loaded(inputs)["fused"], model(inputs)["fused"])


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def spoil(checkpoint, how):
    content = torch.load(checkpoint, weights_only=True)
    network = content["model_dict"]
    if how == "another layout":
        content = {"state_dict": {"backbone.weight": torch.zeros(1)}}
    elif how == "a number":
        content["epoch"] = 3
    elif how == "a tensor is missing":
        del network["classifier_add.head.weight"]
    elif how == "a block is missing":
        network.pop("layers_x.0.1.norm.weight")
    elif how == "another shape":
        network["layers_x.0.1.op.Ds_hsi"] = torch.zeros(7)
    elif how == "code":
        network["layers_x.0.1.norm.weight"] = Code()
    elif how == "cut short":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
        return
    torch.save(content, checkpoint)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("another layout", "'state_dict.backbone.weight' is not of the layout"),
        ("a number", "'epoch' is of type int, not of the layout"),
        ("a tensor is missing", "lacks the tensor that is 'heads.fused.classify.weight'"),
        ("a block is missing", "'neck.streams.hsi.1.norm1.weight'"),
        ("another shape", "does not have the shape"),
        ("code", "holds a pickled .*mkdir, expected tensors and plain values only"),
        ("cut short", "cut short or damaged"),
    ],
)
def test_other_files_are_refused_and_nothing_is_written(checkpoint, how, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil(checkpoint, how)
    with pytest.raises(InputError, match=expected) as caught:
        convert(checkpoint, "--out", tmp_path / "out", "--clip", "none")
    assert str(caught.value).count(str(checkpoint)) == 1
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["Houston.pth"]


def test_a_folder_that_is_there_is_left_alone_and_a_full_disk_leaves_nothing(
    checkpoint, tmp_path, monkeypatch
):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        convert(checkpoint, "--out", tmp_path / "out", "--clip", "none")
    with pytest.raises(InputError, match=r"holds the network alone.*--clip none"):
        convert(checkpoint, "--out", tmp_path / "other")
    (tmp_path / "out").rmdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("m3amba_zoo.hub.reference_checkpoint.save_file", full)
    with pytest.raises(InputError, match=r"out: cannot be written \(No space left"):
        convert(checkpoint, "--out", tmp_path / "out", "--clip", "none")
    assert os.listdir(tmp_path) == ["Houston.pth"]
