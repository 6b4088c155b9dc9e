"""The package's configs: found by name, listed, written out to change, and inherited from."""

from pathlib import Path

import pytest

from m3amba_zoo.cli.configs import main
from m3amba_zoo.config import config_sha256, read_config
from m3amba_zoo.config.shipped import (
    SHIPPED,
    baseline_configs,
    dataset_configs,
    encoder_configs,
    find_config,
    leaf_configs,
)
from m3amba_zoo.errors import InputError


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_config_and_dataset_is_listed_with_a_line(capsys):
    assert main([]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[:1] == " ")
    configs = [*leaf_configs(), *baseline_configs(), *encoder_configs()]
    assert said.keys() == {*configs, *dataset_configs()}
    assert len(configs) == len(set(configs)), "a name means one config"
    assert not {"leaderboard", "encoders"} & said.keys(), "plans train nothing themselves"
    assert said["m3amba_trento"] == "M3amba, size t, on Trento (HSI + LiDAR), the standard split."
    assert said["lda"] == "Shrinkage LDA."
    assert said["trento"] == "Trento (HSI + LiDAR), standard split: 819 training and 29,395 test pixels."


def test_a_file_goes_before_a_name_and_a_folder_does_not():
    Path("m3amba_demo").mkdir()
    assert find_config("m3amba_demo") == SHIPPED / "m3amba_demo.py"
    Path("lda").write_text("")
    assert find_config("lda") == Path("lda")
    assert find_config("svm") == SHIPPED / "baselines/svm.py"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("m3amba_huston", "m3amba_huston: no such config; did you mean 'm3amba_houston'"),
        (
            "configs/m3amba_houston.py",
            "configs/m3amba_houston.py: no such config; did you mean 'm3amba_houston'",
        ),
        ("leaderboard", "leaderboard: no such config"),
        ("0123456789", "'m3amba configs' lists those that come with the package"),
    ],
)
def test_an_unknown_name_is_refused_with_close_ones(given, expected):
    with pytest.raises(InputError) as caught:
        read_config(given)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    [("m3amba_houston", None), ("m3amba-b_houston", None), ("mft", "terramind"), ("lda", "idtrees")],
)
def test_a_config_that_is_written_out_is_the_same_and_a_change_reaches_every_part(name, data, capsys):
    assert main([name, "--to", "my.py", *(["--data", data] if data else [])]) == 0
    assert "wrote my.py" in capsys.readouterr().out
    mine = read_config("my.py")
    assert config_sha256(mine) == config_sha256(read_config(name, data))
    assert "experiment_name" not in mine, "its runs are called my"
    if name == "m3amba_houston":
        text = Path("my.py").read_text()
        Path("my.py").write_text(text.replace("window = 11", "window = 8"))
        changed = read_config("my.py")
        assert (changed.model.window, changed.train_dataloader.dataset.window) == (8, 8)


def test_a_config_is_shown_without_writing(capsys):
    assert main(["position"]) == 0
    shown = capsys.readouterr().out
    assert "classifier = dict(type='Position')" in shown
    assert "type='simulated'" in shown
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["m3amba_demo", "--to", "mine.txt"], "expected a file name that ends in .py"),
        (["m3amba_demo", "--to", "there.py"], "exists; --overwrite replaces it"),
        (["m3amba_demo", "--to", "absent/mine.py"], "cannot be written"),
        (["m3amba_demo", "--data", "trento", "--to", "mine.py"], "has its own dataset"),
        (["--to", "mine.py"], "which config?"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments, expected):
    Path("there.py").write_text("kept = 1\n")
    with pytest.raises(InputError, match=expected):
        main(arguments)
    assert [path.name for path in Path().iterdir()] == ["there.py"]
    assert Path("there.py").read_text() == "kept = 1\n"


def test_a_config_inherits_from_the_packages_by_name_or_file():
    Path("mine.py").write_text('_base_ = "m3amba_zoo::m3amba_trento"\nwindow = 9\n')
    assert read_config("mine.py").model.window == 9
    Path("mine.py").write_text(
        '_base_ = ["m3amba_zoo::_base_/patch_recipe.py"]\nmodel = dict(type="S2ENet", patch=7)\n'
    )
    config = read_config("mine.py", "trento")
    assert (config.source.type, config.test_dataloader.dataset.margin) == ("trento", 3)
    Path("mine.py").write_text('_base_ = "m3amba_zoo::m3amba_trent"\n')
    with pytest.raises(InputError, match="m3amba_trent: no such config; did you mean 'm3amba_trento'"):
        read_config("mine.py")
