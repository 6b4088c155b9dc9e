"""Golden pairs: every published model gives its stored logits again, on every scan backend that runs here."""

import os
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_runs import NAME, train_run

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import check_golden, read_golden
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.ops import backends
from workshop.publishing import publish

AVAILABLE = [name for name, reason in backends().items() if reason is None]
OTHER_MODEL = "this is not the model that was published"
PUBLISHED = sorted(path.parent for path in CHECKOUT_CARDS.glob("*/golden.safetensors"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return publish([train_run(0)], NAME, tmp_path_factory.mktemp("cards")).folder


@pytest.fixture(params=["tiny", *PUBLISHED], ids=lambda card: getattr(card, "name", card))
def card(request):
    return request.getfixturevalue("tiny") if request.param == "tiny" else request.param


@pytest.mark.parametrize("backend", AVAILABLE)
def test_a_published_model_gives_its_golden_logits(card, backend):
    differences = check_golden(card, [backend])
    assert differences.keys() == {backend}


def test_all_backends_are_checked_and_the_environment_stays(tiny, monkeypatch):
    monkeypatch.setenv("M3AMBA_SCAN_BACKEND", "reference")
    assert {"reference", "cpu"} <= check_golden(tiny).keys()
    assert os.environ["M3AMBA_SCAN_BACKEND"] == "reference"


@pytest.fixture
def spoilt(tiny, tmp_path):
    """Change a tensor of a file of a copy of the card, and return the copy."""

    def spoil(file, name, change):
        copy = shutil.copytree(tiny, tmp_path / tiny.name)
        path = next(copy.glob(file))
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata()
        tensors = load_file(path)
        tensors[name] = change(tensors[name])
        save_file(tensors, path, metadata)
        return copy

    return spoil


@pytest.mark.parametrize(
    ("file", "name", "change", "expected"),
    [
        (f"{NAME}-*", "heads.fused.classify.weight", lambda x: x * 1.01, OTHER_MODEL),
        (f"{NAME}-*", "data_preprocessor.steps.sar.0.mean", lambda x: x + 1, OTHER_MODEL),
        (f"{NAME}-*", "posterior.frequencies", lambda x: x.flip(0) + 0.1, OTHER_MODEL),
        (f"{NAME}-*", "posterior.expert.weight", lambda x: x * 1.1, OTHER_MODEL),
        (f"{NAME}-*", "posterior.expert.preprocessor.steps.hsi.1.mean", lambda x: x + 1, OTHER_MODEL),
        (f"{NAME}-*", "neck.fused.0.scan.own.A_log", lambda x: x * np.nan, OTHER_MODEL),
        ("golden*", "logits", lambda x: x + 0.01, OTHER_MODEL),
        (
            "golden*",
            "logits",
            lambda x: x[:, 1:].contiguous(),
            r"are \(3, 7, 8\), but the model's \(3, 8, 8\)",
        ),
        ("golden*", "input.hsi", lambda x: x[1:].contiguous(), "5 bands"),
        ("golden*", "input.sar", lambda x: x[:, 1:].contiguous(), "does not fit the model"),
    ],
)
def test_another_model_is_noticed(spoilt, file, name, change, expected):
    with pytest.raises(InputError, match=expected):
        check_golden(spoilt(file, name, change))


def test_what_is_no_golden_pair_is_refused(tmp_path):
    path = tmp_path / "golden.safetensors"
    for content, expected in ((None, "no such file"), (b"x" * 99, "damaged"), ({}, "lacks 'tolerance'")):
        if isinstance(content, dict):
            save_file({"logits": torch.zeros(1)}, path)
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=expected):
            read_golden(path)


def test_unknown_and_absent_backends_are_refused(tiny):
    absent = [name for name, reason in backends().items() if reason is not None]
    for name in (*absent[:1], "fast"):
        with pytest.raises(InputError, match=f"'{name}'"):
            check_golden(tiny, [name])
