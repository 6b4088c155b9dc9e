"""Golden pairs: every published model gives its stored logits again, on every scan backend that runs here."""

import os

import pytest
import torch
from safetensors.torch import save_file

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import check_golden, read_golden
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.ops import backends

AVAILABLE = [name for name, reason in backends().items() if reason is None]
PUBLISHED = sorted(path.parent for path in CHECKOUT_CARDS.glob("*/golden.safetensors"))


@pytest.mark.parametrize("backend", AVAILABLE)
@pytest.mark.parametrize("card", PUBLISHED, ids=lambda card: card.name)
def test_a_published_model_gives_its_golden_logits(card, backend):
    differences = check_golden(card, [backend])
    assert differences.keys() == {backend}


def test_all_backends_are_checked_and_the_environment_stays(monkeypatch):
    monkeypatch.setenv("M3AMBA_SCAN_BACKEND", "reference")
    assert {"reference", "cpu"} <= check_golden(PUBLISHED[0]).keys()
    assert os.environ["M3AMBA_SCAN_BACKEND"] == "reference"


def test_what_is_no_golden_pair_is_refused(tmp_path):
    path = tmp_path / "golden.safetensors"
    for content, expected in ((None, "no such file"), (b"x" * 99, "damaged"), ({}, "lacks 'tolerance'")):
        if isinstance(content, dict):
            save_file({"logits": torch.zeros(1)}, path)
        elif content is not None:
            path.write_bytes(content)
        with pytest.raises(InputError, match=expected):
            read_golden(path)


def test_unknown_and_absent_backends_are_refused():
    absent = [name for name, reason in backends().items() if reason is not None]
    for name in (*absent[:1], "fast"):
        with pytest.raises(InputError, match=f"'{name}'"):
            check_golden(PUBLISHED[0], [name])
