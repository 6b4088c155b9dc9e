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
from m3amba_zoo.hub.golden import GREATEST, check_golden, golden_file, read_golden
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.models import M3amba, RasterPreprocessor
from m3amba_zoo.ops import backends
from workshop.publishing import publish
from workshop.publishing.golden_input import draw_input

AVAILABLE = [name for name, reason in backends().items() if reason is None]
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
    ("file", "name", "change"),
    [
        (f"{NAME}-*", "heads.fused.classify.weight", lambda x: x * 1.01),
        (f"{NAME}-*", "data_preprocessor.steps.sar.0.mean", lambda x: x + 1),
        (f"{NAME}-*", "posterior.frequencies", lambda x: x.flip(0) + 0.1),
        (f"{NAME}-*", "posterior.expert.weight", lambda x: x * 1.1),
        (f"{NAME}-*", "posterior.expert.preprocessor.steps.hsi.1.mean", lambda x: x + 1),
        (f"{NAME}-*", "neck.fused.0.scan.own.A_log", lambda x: x * np.nan),
        ("golden*", "logits", lambda x: x + 0.01),
    ],
)
def test_another_model_is_noticed(spoilt, file, name, change):
    with pytest.raises(InputError, match="this is not the model that was published"):
        check_golden(spoilt(file, name, change))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (
            "logits",
            lambda x: x[:, 1:].contiguous(),
            r"its logits are \(3, 7, 8\), but the model's \(3, 8, 8\)",
        ),
        ("input.hsi", lambda x: x[1:].contiguous(), "5 bands"),
        ("input.sar", lambda x: x[:, 1:].contiguous(), "does not fit the model"),
    ],
)
def test_a_golden_pair_of_another_model_is_refused(spoilt, name, change, expected):
    with pytest.raises(InputError, match=expected):
        check_golden(spoilt("golden*", name, change))


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


STANDARD = {"type": "Standardize"}


@pytest.mark.parametrize(
    "steps",
    [
        [STANDARD],
        [{"type": "SelectBands", "drop": [[0, 1]]}, STANDARD],
        [{"type": "PCA", "components": 5}],
        [{"type": "UnitNorm"}, STANDARD, {"type": "Discriminants", "components": 2}],
        [{"type": "CenteredLog", "floor": 20.0}, STANDARD, {"type": "WindowShift", "level": 0.1}],
        [{"type": "Derivative", "length": 5}, STANDARD],
    ],
    ids=lambda steps: "-".join(step["type"] for step in steps),
)
def test_golden_inputs_are_like_the_pixels_of_training(steps):
    generator = np.random.default_rng(0)
    model = M3amba(
        {"hsi": 12},
        3,
        embed_dim=8,
        window=16,
        adapter={"type": "LinearAdapter"},
        neck={"type": "CrossMamba", "depth": 1, "d_state": 4},
        data_preprocessor={"type": "RasterPreprocessor", "pretreatment": {"hsi": steps}},
    )
    assert isinstance(model.data_preprocessor, RasterPreprocessor)
    labels = generator.integers(1, 4, 600)
    spectra = 2000 + 300 * np.sin(labels[:, None] * np.arange(12)) + generator.normal(0, 60, (600, 12))
    model.data_preprocessor.fit({"hsi": spectra.astype(np.float32)}, labels)
    drawn = draw_input(model.eval(), 16, seed=0)["hsi"]
    assert drawn.shape == (12, 16, 16)
    assert drawn.isnan().all(0).sum() == 2
    assert not drawn[:, 1:-1].isnan().any()
    treated = model.data_preprocessor.transform({"hsi": drawn[None]})["hsi"]
    assert 0.5 < treated[0, :, ~drawn.isnan().any(0)].std(1).mean() < 2  # from pixel to pixel
    assert abs(float(treated.mean())) < 0.5


def test_a_model_whose_logits_tell_nothing_is_refused(monkeypatch):
    model = M3amba(
        {"hsi": 2},
        3,
        embed_dim=8,
        window=4,
        adapter={"type": "LinearAdapter"},
        neck={"type": "CrossMamba", "depth": 1, "d_state": 4},
    )
    inputs = {"hsi": torch.randn(2, 4, 4)}
    assert golden_file(model, inputs, {})
    monkeypatch.setattr("m3amba_zoo.hub.golden.SAFETY", GREATEST * 1e12)  # as if backends differed
    with pytest.raises(InputError, match="nothing could be told"):
        golden_file(model, inputs, {})
    model.heads["fused"].classify.bias.data += np.inf
    with pytest.raises(InputError, match="not finite"):
        golden_file(model, inputs, {})
