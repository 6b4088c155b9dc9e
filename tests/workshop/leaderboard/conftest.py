"""Runs in this process instead of one each, without maps."""

import pytest
from small_plan import Kitchen

from m3amba_zoo.cli import train
from m3amba_zoo.errors import InputError
from workshop.leaderboard.processes import Processes


@pytest.fixture
def kitchen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Kitchen(tmp_path)


@pytest.fixture
def in_process(kitchen, monkeypatch):
    """Let the kitchen's runs be calls of the train command; it notes them."""

    def run(self, run, work_dir):
        kitchen.ran.append(str(run))
        try:
            train.main([*run.arguments, "--work-dir", str(work_dir), "--resume"])
        except InputError as error:
            return str(error)
        return ""

    monkeypatch.setattr(Processes, "_train", run)
    for drawn in ("write_class_maps", "write_map_figure"):
        monkeypatch.setattr(f"m3amba_zoo.reporting.run_report.{drawn}", lambda *_: [])
    monkeypatch.setattr("m3amba_zoo.reporting.run_report.write_report", lambda *_: None)
