"""Published cards for tests: files, the index that lists them, and a cache of their own."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from m3amba_zoo.hub import index, resolve
from m3amba_zoo.hub.index import PublishedFile, PublishedModel, index_text

NAME, OTHER, BARE = "m3amba-t_here", "m3amba-t_other", "m3amba-t_bare"


@dataclass
class Published:
    """Three cards: two with weights of 300,000 random bytes, one without.

    Attributes:
        models: as the index lists them.
        files: bytes by the path on a mirror, ``/<model>/<file>``.
        cache: the folder that ``$M3AMBA_CACHE`` names.
        marker: a file that the cards' configs write when they are executed.
    """

    models: dict
    files: dict
    cache: Path
    marker: Path

    def weights(self, name=NAME):
        """The weights' path on a mirror."""
        return f"/{name}/{self.models[name].weights}"

    def write(self, root, name=NAME):
        """Write a card to a folder, as a mirror's or a checkout's."""
        folder = root / name
        folder.mkdir(parents=True)
        for file in self.models[name].files:
            (folder / file.path).write_bytes(self.files[f"/{name}/{file.path}"])
        return folder

    def left(self):
        """The names of what is in the cache, without locks."""
        return [path.name for path in self.cache.glob("*") if path.suffix != ".lock"]

    def fetch(self, *mirrors, name=NAME, pretrained=True):
        return resolve.find_card(name, pretrained, mirrors)


def publish(name, contents, reason=""):
    """Return the entry of a card and its files, given bytes by name; the weights get their hash's digits."""
    files, weights = dict(contents), ""
    if "weights" in files:
        content = files.pop("weights")
        weights = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
        files[weights] = content
    listed = tuple(PublishedFile(path, len(c), hashlib.sha256(c).hexdigest()) for path, c in files.items())
    summary = {"dataset": "idtrees", "modalities": ["hsi", "lidar"], "simulated": False}
    return PublishedModel(name, listed, weights, reason, summary), files


@pytest.fixture
def published(tmp_path, monkeypatch):
    marker = tmp_path / "executed"
    config = f"open({str(marker)!r}, 'w').close()\nmodel = dict(type='M3amba')\n".encode()
    entries = []
    for name in (NAME, OTHER):
        contents = {
            "config.py": config,
            "README.md": f"# {name}\n".encode(),
            "metrics.json": b'{"format": 1}\n',
            "weights": random.Random(name).randbytes(300_000),
        }
        entries.append(publish(name, contents))
    bare = {"config.py": config, "README.md": b"# no data\n"}
    entries.append(publish(BARE, bare, "the scene may not be redistributed"))
    models = {model.name: model for model, _ in entries}
    files = {f"/{model.name}/{path}": content for model, given in entries for path, content in given.items()}
    (tmp_path / "published.json").write_text(index_text(models))
    monkeypatch.setattr(index, "PACKAGE_INDEX", tmp_path / "published.json")
    monkeypatch.setattr(resolve, "CHECKOUT_CARDS", tmp_path / "checkout")
    for variable in ("M3AMBA_WEIGHTS", "M3AMBA_MIRRORS", "M3AMBA_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("M3AMBA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Published(models, files, tmp_path / "cache", marker)
