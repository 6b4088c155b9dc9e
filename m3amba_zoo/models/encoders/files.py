"""Finds files of encoders' weights, reads the tensors in them as publishers lay them out, and loads them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from torch import Tensor, nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.torchscript import is_torchscript, read_torchscript
from m3amba_zoo.models.weights import WRAPPED, find_misfit, read_checkpoint, read_plain, require_plain
from m3amba_zoo.reading import library_errors, read_json
from m3amba_zoo.system import OFFLINE_VARIABLE, WEIGHTS_VARIABLE, is_offline

PATIENCE = 10.0  # s that a server has for its first answer
HUB_OFFLINE = "HF_HUB_OFFLINE"  # of huggingface_hub
RANDOM = "random"  # in place of a file: an untrained network
INDEX = ".index.json"
# the names of weights in a folder or a repository, best first
FILE_NAMES = (
    "open_clip_model.safetensors",
    "model.safetensors",
    f"model.safetensors{INDEX}",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    f"pytorch_model.bin{INDEX}",
)
WRAPPERS = ("state_dict", "model", "model_state_dict")  # keys of checkpoints that hold the weights


def named_file(weights: str | Path) -> Path | None:
    """Return the file of weights at a path, or at that path in ``$M3AMBA_WEIGHTS``; None if there is none.

    A folder, such as a clone of a repository, stands for the first of ``FILE_NAMES`` in it.
    """
    path = Path(weights).expanduser()
    root = os.environ.get(WEIGHTS_VARIABLE)
    for place in (path, *([Path(root).expanduser() / path] if root else [])):
        for candidate in (place, *(place / name for name in FILE_NAMES)):
            if candidate.is_file():
                return candidate
    return None


def load_network(
    network: nn.Module, weights: str | Path, strip: str = "", ignore: Sequence[str] = ()
) -> Path:
    """Load a file of weights, which must fit exactly, into a network; return the file.

    Args:
        network: of torch.
        weights: as for ``named_file``.
        strip: a prefix of the network's part of the file. If a name has it, names without it are left out.
        ignore: prefixes of names that are left out, such as those of a classifier.

    Raises:
        InputError: if there is no such file, it cannot be read, or it holds other weights.
    """
    path = named_file(weights)
    if path is None:
        raise InputError(
            f"weights '{weights}': no such file, neither at this path nor in ${WEIGHTS_VARIABLE}; expected a "
            "file of weights or a folder with one"
        )
    state = read_tensors(path)
    if any(name.startswith(strip) for name in state):
        state = {name[len(strip) :]: value for name, value in state.items() if name.startswith(strip)}
    state = {name: value for name, value in state.items() if not name.startswith(tuple(ignore))}
    if problem := misfit(network.state_dict(), state):
        raise InputError(f"{path}: not weights of this {type(network).__name__} ({problem})")
    network.load_state_dict(state, strict=False)
    return path


def misfit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Return the first thing in which two state dicts differ, "" if they agree."""
    if (found := find_misfit(expected, given)) is None:
        return ""
    name, wanted, there = found
    if there is None:
        return f"'{name}' is missing"
    return f"'{name}' has no place in it" if wanted is None else f"'{name}' is {there}, expected {wanted}"


def hub_file(
    what: str, repository: str, names: Sequence[str], cache_dir: str | None, file: str = ""
) -> tuple[Path, str]:
    """Return a file of a Hugging Face repository and its origin: the cache, else the network.

    One request, which is not repeated, tells what the repository has.

    Args:
        what: it is, for messages.
        repository: such as ``timm/resnet18.a1_in1k``.
        names: of the file, best first.
        cache_dir: of huggingface_hub; None for its default.
        file: its name where it is known, before all others.

    Raises:
        InputError: if it is not in the cache and cannot be fetched; the message has the command that does.
    """
    from huggingface_hub import hf_hub_download, model_info

    names = tuple(filter(None, (file, *names)))
    if cached := cached_file(repository, names, cache_dir):
        return cached, "the cache"
    with fetching(what, f"hf download {repository} {file}".strip()):
        there = {sibling.rfilename for sibling in model_info(repository, timeout=PATIENCE).siblings or ()}
        name = next((name for name in names if name in there), "")
        if not name:
            raise FileNotFoundError(f"{repository} has none of {', '.join(names)}")
        return Path(hf_hub_download(repository, name, cache_dir=cache_dir)), "the network"


def cached_file(repository: str, names: Sequence[str], cache_dir: str | None) -> Path | None:
    """Return the first of some files of a repository that is in huggingface_hub's cache; None if none is."""
    from huggingface_hub import try_to_load_from_cache

    for name in filter(None, names):
        cached = try_to_load_from_cache(repository, name, cache_dir=cache_dir)
        if isinstance(cached, str):
            return Path(cached)
    return None


@contextmanager
def fetching(what: str, command: str, address: str | None = None) -> Iterator[None]:
    """Turn what fails while weights are fetched into one sentence; refuse where the network is forbidden.

    Args:
        what: is fetched.
        command: that fetches it elsewhere.
        address: whose server is asked first whether it is there; libraries may wait for it without an end.

    Raises:
        InputError: if the network is forbidden, there is no answer, or the block fails.
    """
    forbidden = OFFLINE_VARIABLE if is_offline() else HUB_OFFLINE
    if is_offline() or os.environ.get(HUB_OFFLINE, "").upper() in ("1", "ON", "YES", "TRUE"):
        raise InputError(
            f"{what} are not in the cache and {forbidden}={os.environ[forbidden]} forbids fetching them; "
            f"{_advice(command)}"
        )
    try:
        if address is not None:
            with suppress(HTTPError), urlopen(Request(address, method="HEAD"), timeout=PATIENCE):
                pass
        yield
    except Exception as error:  # of many kinds, by what fails
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{what} are not in the cache and could not be fetched ({reason[:200]}); {_advice(command)}"
        ) from error


def _advice(command: str) -> str:
    return (
        f"fetch them where there is a network ({command}), put the file into ${WEIGHTS_VARIABLE} and give "
        "its name as weights=..., or give its path, or weights='random' for an untrained encoder"
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of weights by their names, without running anything of it.

    It reads safetensors, torch's own files, TorchScript archives, and several files with their index
    ``*.index.json``. The weights may lie bare or under ``state_dict``, ``model`` or ``model_state_dict``. A
    prefix ``module.`` of all names is taken off.

    Raises:
        InputError: if the file or a part of it is absent, cut short or damaged, or holds no tensors by name.
    """
    if path.name.endswith(INDEX):
        tensors = _read_parts(path)
    elif path.suffix == ".safetensors":
        tensors = read_checkpoint(path, "cpu")["state_dict"]
    elif _is_torchscript(path):
        tensors = read_torchscript(path)
    else:
        tensors = _unwrapped(read_plain(path, "cpu"), path)
        require_plain(tensors, path)
    if tensors and all(name.startswith(WRAPPED) for name in tensors):
        tensors = {name.removeprefix(WRAPPED): value for name, value in tensors.items()}
    return tensors


def _is_torchscript(path: Path) -> bool:
    with library_errors(path, "a damaged archive"):
        if not zipfile.is_zipfile(path):  # which raises for an archive of several disks
            return False
        with zipfile.ZipFile(path) as archive:
            return is_torchscript(archive)


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if isinstance(content, Mapping):
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors
    raise InputError(f"{path}: holds a {type(content).__name__} without tensors, expected tensors by name")


def _is_part(name: Any) -> bool:
    return isinstance(name, str) and name == Path(name).name != "" and not name.endswith(INDEX)


def _read_parts(index: Path) -> dict[str, Tensor]:
    content = read_json(index)
    parts = content.get("weight_map") if isinstance(content, dict) else None
    files = set(parts.values()) if isinstance(parts, dict) and all(map(_is_part, parts.values())) else set()
    if not files:
        raise InputError(
            f"{index}: damaged, expected 'weight_map' with the file of each tensor, beside the index"
        )
    names = sorted(files)
    for name in names:
        if not os.path.isfile(index.parent / name):
            raise InputError(f"{index}: names {name}, which is not beside it; fetch all {len(names)} parts")
    return {key: value for name in names for key, value in read_tensors(index.parent / name).items()}
