"""The parts on the pages of docs/extending, trained as a reader would train them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from m3amba_zoo import Predictor, registry
from m3amba_zoo.cli import train

PAGES = sorted(Path(__file__).parents[1].glob("docs/extending/*.md"))
FILES = re.compile(r"```python\n(# (\w+\.py)\n.*?)```", re.S)
TINY = "source.height=64 source.width=128 source.bands=8"
SHORT = (
    "train_cfg.max_epochs=1 train_dataloader.dataset.windows_per_epoch=16 test_dataloader.dataset.overlap=0"
)
REGISTRIES = [part for part in vars(registry).values() if isinstance(part, registry.ZooRegistry)]


@pytest.fixture
def forgotten():
    """Take out again what a page registers, and its modules, which have the same names on other pages."""
    path = list(sys.path)
    yield
    for parts in REGISTRIES:
        for name in [name for name, part in parts.module_dict.items() if part.__module__.startswith("my_")]:
            del parts.module_dict[name]
    sys.path[:] = path
    for module in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[module]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "index"], ids=lambda page: page.stem)
def test_the_part_of_the_page_trains_and_is_used(page, tmp_path, monkeypatch, forgotten):
    files = {name: text for text, name in FILES.findall(page.read_text())}
    (module,) = files.keys() - {"my_run.py"}
    assert len(files[module].splitlines()) < 30, "a part in about twenty lines"
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M3AMBA_DATA", raising=False)
    options = SHORT.split()
    if page.stem == "sources":
        write_harbour(Path("data/harbour"))
    else:
        options += TINY.split()
    assert train.main(["my_run.py", "--work-dir", "run", "--cfg-options", *options]) == 0
    metrics = json.loads(Path("run/metrics.json").read_text())
    (part,) = re.findall(r"^class (\w+)", files[module], re.M)
    if page.stem == "sources":
        assert (metrics["dataset"], [entry["name"] for entry in metrics["per_class"]]) == (
            "Harbour",
            ["water", "quay"],
        )
    elif page.stem == "metrics":
        recalls = [entry["accuracy"] for entry in metrics["per_class"] if entry["support"]]
        assert metrics["g_mean"] == pytest.approx(np.prod(recalls) ** (1 / len(recalls)))
    else:
        assert part in {type(used).__name__ for used in Predictor("run").model.modules()}


def test_the_recipe_of_the_page_on_robustness_trains_with_modality_dropout(tmp_path, monkeypatch, forgotten):
    page = (PAGES[0].parents[1] / "robustness.md").read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("M3AMBA_DATA", raising=False)
    Path("my_run.py").write_text(FILES.search(page)[1])
    assert train.main(["my_run.py", "--work-dir", "run", "--cfg-options", *SHORT.split(), *TINY.split()]) == 0
    trained = Config.fromfile("run/my_run.py").train_dataloader.dataset
    assert [step["type"] for step in trained.augmentation] == ["FlipRotate", "ModalityDropout"]


def write_harbour(folder):
    """Two classes in stripes of 8 columns, which both bands of the lidar show."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(48) // 8 % 2 + 1, (48, 1)).astype(np.uint8)
    np.save(folder / "labels.npy", labels)
    for name, bands in {"hsi": 6, "lidar": 2}.items():
        noise = generator.normal(0, 0.1, (bands, 48, 48))
        np.save(folder / f"{name}.npy", (labels + noise).astype(np.float32))
