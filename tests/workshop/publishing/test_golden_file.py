"""Writing golden pairs: an input like the training's pixels, and a tolerance that still proves something."""

import numpy as np
import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import M3amba, RasterPreprocessor
from workshop.publishing.golden_file import GREATEST, golden_file
from workshop.publishing.golden_input import draw_input

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
