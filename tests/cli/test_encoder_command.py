"""``m3amba encoder``: what would be loaded, and what to fetch."""

import pytest

from m3amba_zoo.cli.encoder import main
from m3amba_zoo.config.shipped import SHIPPED
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import ClipImageEncoder

TOWER = str(SHIPPED / "_base_/models/small_image_tower.json")


def test_it_lists_the_registry(capsys):
    assert main([]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line[:1] == " ")
    assert said["ClipImageEncoder"] == "The frozen image tower of an open_clip model"
    assert said["TimmEncoder"] == "A frozen backbone of timm"


def test_it_says_what_would_be_loaded(capsys):
    assert main(["ClipImageEncoder", "--weights", "random", "--cfg-options", f"name={TOWER}", "seed=3"]) == 0
    said = capsys.readouterr().out
    encoder = ClipImageEncoder(TOWER, "random", seed=3)
    assert bytes(encoder.fingerprint.tolist()).hex() in said
    assert "randomly initialised (seed 3)" in said
    assert f"features of length {encoder.feature_dim}" in said


def test_absent_weights_of_a_config_end_in_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    options = ["--cfg-options", f"cache_dir={tmp_path}"]
    with pytest.raises(InputError, match=r"not in the cache.*hf download \S+/\S+\).*M3AMBA_WEIGHTS"):
        main(["m3amba-b_houston", *options])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ClipImageEncodr"], "neither an encoder nor a config; did you mean 'ClipImageEncoder'"),
        (["m3amba_houston"], "this config has no encoder"),
        (["ClipImageEncoder", "--cfg-options", "nam=3"], "unexpected keyword argument 'nam'"),
        (["--weights", "random"], "of which encoder"),
    ],
)
def test_bad_input(arguments, expected):
    with pytest.raises(InputError, match=expected):
        main(arguments)
