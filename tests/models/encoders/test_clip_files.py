"""CLIP weights as their publishers lay them out, and files that are something else."""

import json
import pickle
import re
import struct
import zipfile

import pytest
import torch
from tiny_clip import LAYOUTS, bare, hugging_face, model_of, sharded, torchscript, write_config

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ClipImageEncoder
from m3amba_zoo.models.encoders.clip_loading import find_clip, load_clip
from m3amba_zoo.models.torchscript import read_torchscript


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_gives_the_tower_that_was_written(layout, tmp_path):
    config = write_config(tmp_path, quick_gelu=layout is torchscript)  # which is OpenAI's
    model = model_of(config)
    image, text = torch.randn(2, 3, 32, 32), torch.randint(0, 64, (2, 8))
    images, texts = model.encode_image(image), model.encode_text(text)
    clip = load_clip(str(config), str(layout(model, tmp_path)))
    torch.testing.assert_close(clip.model.eval().encode_image(image), images, atol=5e-3, rtol=1e-2)
    assert clip.has_text == (layout.__name__ != "tower_alone")
    if clip.has_text:
        torch.testing.assert_close(clip.model.encode_text(text), texts, atol=5e-3, rtol=1e-2)


def test_a_file_may_lie_in_the_folder_of_weights(tmp_path, monkeypatch):
    config = write_config(tmp_path)
    bare(model_of(config), tmp_path)
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    assert "tiny.bin from a file" in ClipImageEncoder(str(config), "tiny.bin").description


def test_the_cache_of_openais_package_is_searched(tmp_path):
    (tmp_path / "ViT-B-32.pt").touch()
    found = find_clip("ViT-B-32-quickgelu", "openai", cache_dir=str(tmp_path))
    assert (found.path, found.origin) == (tmp_path / "ViT-B-32.pt", "the cache")


@pytest.mark.parametrize(
    ("vision", "theirs"),
    [
        ({"layers": 3}, "ViT of width 32, 3 layers"),
        ({"patch_size": 8}, "patches of 8"),
        ({"image_size": 64}, "images of 64 pixels"),
        ({"layers": [1, 1, 1, 1], "width": 16}, "ResNet of width 16, 1+1+1+1 layers"),
    ],
)
def test_weights_of_another_architecture_are_refused_with_the_names_of_both(vision, theirs, tmp_path):
    config = write_config(tmp_path)
    model_of(config)
    other = bare(model_of(write_config(tmp_path, "other-tower", **vision)), tmp_path)
    said = rf"'ViT-tiny-test' \(ViT.*but of 'other-tower' \([^)]*{re.escape(theirs)}"
    with pytest.raises(InputError, match=said):
        ClipImageEncoder(str(config), str(other))


def test_the_name_of_another_architecture_has_its_activation(tmp_path):
    config = write_config(tmp_path)
    model_of(write_config(tmp_path, "wide-tower", width=64))
    model_of(write_config(tmp_path, "wide-tower-quickgelu", quick_gelu=True, width=64))
    archive = torchscript(model_of(tmp_path / "wide-tower-quickgelu.json"), tmp_path)
    with pytest.raises(InputError, match="try name='wide-tower-quickgelu'"):
        ClipImageEncoder(str(config), str(archive))


def test_the_activation_that_weights_were_trained_with_is_taken_and_said(tmp_path):
    plain, quick = write_config(tmp_path), write_config(tmp_path, "ViT-tiny-test-quickgelu", quick_gelu=True)
    image = torch.randn(2, 3, 32, 32)
    archive = torchscript(model_of(quick), tmp_path)
    named, other = (ClipImageEncoder(str(name), str(archive)) for name in (quick, plain))
    assert "GELU" not in named.description
    assert "quick-GELU is taken, with which these weights were trained, in place of the name's GELU" in (
        other.description
    )
    assert torch.equal(other(image), named(image))
    assert torch.equal(other.fingerprint, named.fingerprint)
    file = hugging_face(model_of(plain), tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {"hidden_act": "gelu"}}))
    named, other = (ClipImageEncoder(str(name), str(file)) for name in (plain, quick))
    assert "GELU" not in named.description
    assert "; GELU is taken" in other.description
    assert torch.equal(other(image), named(image))


def test_a_part_that_is_absent_is_named(tmp_path):
    config = write_config(tmp_path)
    folder = sharded(model_of(config), tmp_path)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"index\.json: names model-00002-of-00002.*fetch all 2 parts"):
        ClipImageEncoder(str(config), str(folder))


def test_other_files_are_refused_in_a_sentence(tmp_path):
    config = write_config(tmp_path)
    model = model_of(config)
    torch.save({"weight": torch.ones(2)}, tmp_path / "linear.pt")
    with pytest.raises(InputError, match=r"linear\.pt: no CLIP weights.*found weight"):
        ClipImageEncoder(str(config), str(tmp_path / "linear.pt"))
    torch.save({"epoch": 3}, tmp_path / "epoch.pt")
    with pytest.raises(InputError, match=r"epoch\.pt: holds a dict without tensors"):
        ClipImageEncoder(str(config), str(tmp_path / "epoch.pt"))
    archive = torchscript(model, tmp_path)
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"traced\.pt: cut short or damaged"):
        ClipImageEncoder(str(config), str(archive))
    end = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 2) + struct.pack("<4s4H2LH", b"PK\5\6", *[0] * 7)
    archive.write_bytes(bytes(100) + end)  # of an archive on two disks
    with pytest.raises(InputError, match=r"traced\.pt: .*damaged"):
        ClipImageEncoder(str(config), str(archive))


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def rewritten(archive, pickled):
    """Return a TorchScript archive with another pickle in the place of its own."""
    target = archive.with_name("rewritten.pt")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            new.writestr(info, pickled if info.filename.endswith("data.pkl") else old.read(info))
    return target


def test_nothing_of_an_archive_runs(tmp_path):
    archive = torchscript(model_of(write_config(tmp_path)), tmp_path)
    trace = tmp_path / "trace"
    hostile = pickle.dumps(Hostile(str(trace)), protocol=2)
    with pytest.raises(InputError, match=r"names (io|_io|__builtin__|builtins)\.open, expected tensors"):
        read_torchscript(rewritten(archive, hostile))
    # the stand-ins themselves, called as a pickle likes
    for global_ in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"c__torch__.a\nB\n", b"ctorch\nHalfStorage\n"):
        with pytest.raises(InputError, match="cut short or damaged"):
            read_torchscript(rewritten(archive, b"\x80\x02" + global_ + b"X\x04\x00\x00\x00openq\x00\x85R."))
    assert not trace.exists()
