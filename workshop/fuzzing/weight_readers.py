"""Readers of weights: checkpoints, safetensors, pointers, encoders' files, the authors' checkpoints."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from m3amba_zoo.engine.checkpoint import latest_checkpoint, read_meta
from m3amba_zoo.hub.golden import read_golden
from m3amba_zoo.hub.reference_checkpoint import convert_file
from m3amba_zoo.models import m3amba
from m3amba_zoo.models.baselines.kept import read_kept
from m3amba_zoo.models.encoders.clip_loading import load_clip
from m3amba_zoo.models.encoders.files import INDEX, load_network, read_tensors
from m3amba_zoo.models.encoders.galileo import find_weights, network_of
from m3amba_zoo.models.encoders.galileo_network import GalileoNetwork, GalileoSize
from m3amba_zoo.models.weights import CHOICE, LAST_CHECKPOINT, load_weights, read_choice, write_choice
from workshop.fuzzing.authors_layout import in_authors_layout
from workshop.fuzzing.label_readers import IN_JSON
from workshop.fuzzing.mutations import Reader, in_bytes, in_members, in_text, in_values
from workshop.fuzzing.tiny_run import LDA, keep_classifier

TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 1, "layers": 1},
}
SIZE = GalileoSize(32, 1, 2)


def network() -> nn.Module:
    """Return a small network, the same each time."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def saved(content: Any) -> bytes:
    """Return what torch saves."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _loaded(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


TENSORS: tuple[Any, ...] = (
    torch.zeros(0), torch.zeros(3), torch.zeros(2, 2, dtype=torch.complex64), torch.tensor(float("nan")),
    torch.zeros(4, 3, dtype=torch.int64), torch.eye(3).to_sparse(), torch.zeros(1, device="meta"),
    torch.zeros(1).expand(2**40), {"state": {}, "param_groups": []}, np.float64(1),
)  # fmt: skip
IN_SAVED = in_values(_loaded, saved, TENSORS)


def in_safetensors(random: Random, content: bytes) -> bytes:
    """Change the header of a safetensors file and write its length anew."""
    size = int.from_bytes(content[:8], "little")
    header = random.choice((IN_JSON, in_text))(random, content[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _checkpoint(folder: Path) -> Path:
    content = {
        "meta": {"epoch": 2, "iter": 8, "seed": 0, "data": {"name": "a", "split": "b", "sha256": "c" * 64}},
        "state_dict": network().state_dict(),
        "message_hub": {
            "runtime_info": {"seeded_splits": True, "freeze": ["a.*"], "epoch": 2},
            "log_scalars": {},
        },
        "optimizer": torch.optim.AdamW(network().parameters()).state_dict(),
    }
    (folder / "epoch_2.pth").write_bytes(saved(content))
    return folder / "epoch_2.pth"


def _read_checkpoint(path: Path) -> None:
    read_meta(path)
    load_weights(network(), path)


def _safetensors(folder: Path) -> Path:
    save_file(network().state_dict(), folder / "model.safetensors", {"licence": "MIT"})
    return folder / "model.safetensors"


def _golden(folder: Path) -> Path:
    tensors = {"input.hsi": torch.zeros(3, 4, 4), "logits": torch.zeros(2, 4, 4)}
    save_file(tensors, folder / "golden.safetensors", {"tolerance": "0.001"})
    return folder / "golden.safetensors"


def _kept(folder: Path) -> Path:
    keep_classifier(folder / "classifier.safetensors")
    return folder / "classifier.safetensors"


def _pointer(folder: Path) -> Path:
    _checkpoint(folder)
    (folder / LAST_CHECKPOINT).write_text(str(folder / "epoch_2.pth"))
    return folder / LAST_CHECKPOINT


def _choice(folder: Path) -> Path:
    write_choice(folder, _checkpoint(folder), "best oa on validation pixels")
    return folder / CHOICE


def _parts(folder: Path) -> Path:
    state = network().state_dict()
    save_file(state, folder / "part-1.safetensors")
    path = folder / f"model.safetensors{INDEX}"
    path.write_text(json.dumps({"weight_map": dict.fromkeys(state, "part-1.safetensors")}))
    return path


def _torchscript(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(network().eval()), str(folder / "model.pt"))
    return folder / "model.pt"


def _clip(folder: Path) -> Path:
    import open_clip

    (folder / "tiny-fuzz.json").write_text(json.dumps(TINY_CLIP))
    open_clip.add_model_config(folder / "tiny-fuzz.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-fuzz")
    (folder / "open_clip_pytorch_model.bin").write_bytes(saved(model.state_dict()))
    return folder / "open_clip_pytorch_model.bin"


def _clip_config(folder: Path) -> Path:
    _clip(folder)
    path = folder / "open_clip_config.json"
    path.write_text(json.dumps({"model_cfg": {**TINY_CLIP, "quick_gelu": True}}))
    return path


def _read_clip(path: Path) -> None:
    load_clip(str(path.parent / "tiny-fuzz.json"), str(path.parent / "open_clip_pytorch_model.bin"))


def _galileo(folder: Path) -> Path:
    torch.manual_seed(0)
    save_file(GalileoNetwork(SIZE).state_dict(), folder / "galileo.safetensors", {"licence": "MIT"})
    return folder / "galileo.safetensors"


def _read_galileo(path: Path) -> None:
    found = find_weights(str(path), None)
    network_of(found.state, SIZE, found.path)


def _authors(folder: Path) -> Path:
    torch.manual_seed(0)
    model = m3amba({"hsi": 3, "lidar": 1}, 2, embed_dim=8, depth=1, d_state=2, window=4)
    (folder / "authors.pth").write_bytes(saved(in_authors_layout(model.state_dict())))
    return folder / "authors.pth"


def _read_authors(path: Path) -> None:
    shutil.rmtree(path.parent / "out", ignore_errors=True)
    convert_file(path, path.parent / "out")


IN_ARCHIVE = (in_bytes, in_members(), IN_SAVED, IN_SAVED)
IN_SAFETENSORS: tuple[Any, ...] = (in_bytes, in_safetensors, in_safetensors)
READERS = (
    Reader("checkpoint", _checkpoint, _read_checkpoint, IN_ARCHIVE),
    Reader("safetensors", _safetensors, lambda path: load_weights(network(), path), IN_SAFETENSORS),
    Reader("golden", _golden, read_golden, IN_SAFETENSORS),
    Reader("kept", _kept, lambda path: read_kept(path, LDA), IN_SAFETENSORS),
    Reader("pointer", _pointer, lambda path: latest_checkpoint(path.parent), (in_text, in_bytes)),
    Reader("choice", _choice, lambda path: read_choice(path.parent), (in_text, IN_JSON)),
    Reader("parts", _parts, read_tensors, (in_text, IN_JSON, in_bytes)),
    Reader("torchscript", _torchscript, read_tensors, (in_bytes, in_members())),
    Reader("network", _checkpoint, lambda path: load_network(network(), path), IN_ARCHIVE),
    Reader("clip", _clip, _read_clip, IN_ARCHIVE),
    Reader("clip_config", _clip_config, _read_clip, (in_text, IN_JSON)),
    Reader("galileo", _galileo, _read_galileo, IN_SAFETENSORS),
    Reader("authors", _authors, _read_authors, IN_ARCHIVE),
)
