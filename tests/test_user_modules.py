"""A user's modules beside their config are found by every command, from any folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from m3amba_zoo import Predictor
from m3amba_zoo.cli import configs, train
from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import ADAPTERS
from workshop.leaderboard.plan import read_plan
from workshop.publishing.card_files import card_config_text
from workshop.publishing.runs import read_runs

TOOLS = Path(__file__).parents[1] / "tools"
MODULE = """
from m3amba_zoo.models import LinearAdapter
from m3amba_zoo.registry import ADAPTERS

@ADAPTERS.register_module()
class OwnAdapter(LinearAdapter):
    pass
"""
PLAN = """
seeds, datasets, groups = (0,), dict(here=dict(title="Here")), dict(main=dict(title="Main"))
models = dict(own="own_{dataset}.py")
"""
BY_NAME = """
_base_ = "m3amba_zoo::m3amba_demo"
custom_imports = dict(imports=["own_parts"])
model = dict(adapter=dict(type="OwnAdapter"))
source = dict(height=64, width=128, bands=8)
train_dataloader = dict(dataset=dict(windows_per_epoch=16))
train_cfg = dict(max_epochs=2)
"""
BY_IMPORT = """
from mmengine.config import read_base
with read_base():
    from .demo import *
from own_parts import OwnAdapter

model.update(adapter=dict(type=OwnAdapter))
source.update(height=64, width=128, bands=8)
train_dataloader["dataset"].update(windows_per_epoch=16)
train_cfg.update(max_epochs=2)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a function that forgets the user's module, as a new process would, in a new working folder."""
    path = list(sys.path)

    def forget(folder):
        sys.modules.pop("own_parts", None)
        ADAPTERS.module_dict.pop("OwnAdapter", None)
        sys.path[:] = path
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)

    yield forget
    forget("end")


@pytest.mark.parametrize("text", [BY_NAME, BY_IMPORT], ids=["custom_imports", "import"])
def test_train_predict_leaderboard_and_publish_find_what_lies_beside_the_config(text, tmp_path, elsewhere):
    project, run = tmp_path / "project", tmp_path / "run"
    project.mkdir()
    (project / "own_parts.py").write_text(MODULE)
    (project / "own_here.py").write_text(text)
    (project / "plan.py").write_text(PLAN)
    configs.main(["m3amba_demo", "--to", str(project / "demo.py")])
    elsewhere("training")
    assert train.main([str(project / "own_here.py"), "--work-dir", str(run)]) == 0
    elsewhere("prediction")
    assert type(Predictor(run).model.adapters["hsi"]).__name__ == "OwnAdapter"
    elsewhere("leaderboard")
    (planned,) = read_plan(project / "plan.py").runs()
    assert planned.config_sha256 == config_sha256(read_config(run / "own_here.py"))
    elsewhere("publishing")
    (trained,) = read_runs([run])
    assert str(project) not in card_config_text(trained.config), "a card names no path of this machine"


def test_a_module_that_is_not_found_is_named_with_the_folders_looked_in(tmp_path, elsewhere):
    config = tmp_path / "own.py"
    config.write_text(BY_NAME)
    elsewhere("here")
    with pytest.raises(InputError, match="No module named 'own_parts'") as caught:
        read_config(config)
    assert f"looked for in {tmp_path} and among" in str(caught.value)
    (tmp_path / "own_parts.py").write_text("import m3amba_zoo.no_such_part\n")
    with pytest.raises(InputError, match=r"No module named 'm3amba_zoo\.no_such_part'"):
        read_config(config)
    (tmp_path / "own_parts.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError"):
        read_config(config)


def test_nothing_is_imported_from_the_working_directory(tmp_path, elsewhere):
    """A stranger's folder of rasters may hold modules that libraries try to import, and announce plugins."""
    elsewhere("rasters")
    for name in ("own_parts", "mamba_ssm", "tabulate", "torch_musa", "announced"):
        Path(f"{name}.py").write_text("raise SystemExit('code of a stranger ran')\n")
    Path("evil-1.dist-info").mkdir()
    Path("evil-1.dist-info", "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    Path("evil-1.dist-info", "entry_points.txt").write_text("[m3amba_zoo.plugins]\nevil = announced\n")
    command = [
        sys.executable,
        str(TOOLS / "predict.py"),
        str(tmp_path),
        "--raster",
        "hsi=a.tif",
        "--out",
        "map.tif",
    ]
    (tmp_path / "own.py").write_text(BY_NAME)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "No module named 'own_parts'" in done.stderr) == (2, True), done.stderr
    listing = [sys.executable, str(TOOLS / "train.py"), "m3amba_demo", "--cfg-options", "source.type=evil"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    assert (done.returncode, "no source is registered as 'evil'" in done.stderr) == (2, True), done.stderr


def test_numba_does_not_read_the_settings_of_the_working_directory(tmp_path):
    """They may name a folder of compiled functions, which numba unpickles."""
    (tmp_path / "rasters").mkdir()
    (tmp_path / "rasters/.numba_config.yaml").write_text("cache_dir: evil\ndisable_jit: 1\n")
    (tmp_path / "tell.py").write_text(
        "from m3amba_zoo.ops import backends\n"
        "print(backends())\n"
        "from numba.core import config\n"
        "config.reload_config()\n"
        "print([config.CACHE_DIR, config.DISABLE_JIT])\n"
    )
    tell = [sys.executable, str(tmp_path / "tell.py")]
    done = subprocess.run(tell, cwd=tmp_path / "rasters", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['', 0]"
