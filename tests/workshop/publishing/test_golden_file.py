"""Writing golden pairs: an input like the training's pixels, and a tolerance that still proves something."""

import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_runs import NAME, train_run

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.models import M3amba, RasterPreprocessor
from m3amba_zoo.ops import backends
from workshop.publishing import publish
from workshop.publishing.golden_file import GREATEST, draw_input, golden_file

OTHER_MODEL = "this is not the model that was published"
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


def test_a_model_whose_logits_prove_nothing_is_refused(monkeypatch):
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
    monkeypatch.setattr("workshop.publishing.golden_file.SAFETY", GREATEST * 1e12)  # as if backends differed
    with pytest.raises(InputError, match="would prove nothing"):
        golden_file(model, inputs, {})
    model.heads["fused"].classify.bias.data += np.inf
    with pytest.raises(InputError, match="not finite"):
        golden_file(model, inputs, {})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return publish([train_run(0)], NAME, tmp_path_factory.mktemp("cards")).folder


def test_a_model_that_was_just_published_gives_its_golden_logits(tiny):
    available = [name for name, reason in backends().items() if reason is None]
    assert check_golden(tiny, available).keys() == set(available)


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
