"""The three commands of the README, run as they stand there; and what docs/your_data.md shows of them."""

import re
import shlex
from importlib import import_module

import numpy as np
import rasterio
import rich
from toy_commands import REPOSITORY

# so that each takes seconds; the last epoch of two is the first without a warm-up
SHORTENED = {
    "train": "--cfg-options train_cfg.max_epochs=2 train_dataloader.dataset.windows_per_epoch=64",
    "predict": "--speed fast",
}
SHOWN = re.compile(r"<!-- new scene -->\n```\n\$ (?P<command>.*)\n(?P<printed>(.*\n)*?)```")


def commands():
    text = (REPOSITORY / "README.md").read_text()
    block = re.search(r"<!-- three commands -->\n```bash\n((.*\n)*?)```", text)
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


def test_they_lead_from_files_to_a_map(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rich.reconfigure(width=80)  # of the page
    assert [words[:2] for words in commands()[1:]] == [
        ["m3amba", "new"],
        ["m3amba", "train"],
        ["m3amba", "predict"],
    ]
    printed = {}
    for words in commands():
        _, name, *arguments = words
        command = import_module(f"m3amba_zoo.cli.{name}")
        assert command.main([*arguments, *SHORTENED.get(name, "").split()]) == 0
        printed[name] = capsys.readouterr().out
    assert re.search(
        r"^96 x 160 pixels: [\d,]+ windows of \d+ x \d+, overlap 0, in 1 view$", printed["predict"], re.M
    )
    with rasterio.open("map.tif") as file, rasterio.open("files/simulated_hsi.tif") as hsi:
        assert (file.shape, file.crs, file.transform) == (hsi.shape, hsi.crs, hsi.transform)
        assert set(np.unique(file.read(1))) <= set(range(1, 8))
        assert file.tags()["CLASS_3"] == "forest"
    shown = SHOWN.search((REPOSITORY / "docs/your_data.md").read_text())
    assert shlex.split(shown["command"]) == commands()[1]
    assert shown["printed"] == printed["new"], "docs/your_data.md is to show what is printed now"
