"""What happens between a network's logits and the map: views, prior, expert, smoothing."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import Posterior
from m3amba_zoo.registry import MODELS

BANDS = {"hsi": 4, "lidar": 1}
CLASSES = 3


def pixels(count=400, classes=CLASSES, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.choice(
        np.arange(1, classes + 1), count, p={2: [0.7, 0.3], 3: [0.6, 0.3, 0.1]}[classes]
    )
    x = generator.normal(labels[:, None] * np.linspace(-1, 1, 5), 1, (count, 5)).astype(np.float32)
    return {"hsi": x[:, :4], "lidar": x[:, 4:]}, labels


def even(classes):
    return np.full(classes, 1 / classes)


def windows(x):
    return {m: torch.from_numpy(bands).T.reshape(1, -1, 20, 20).float() for m, bands in x.items()}


def position_logits(inputs):
    """Logits that depend on where in the window a pixel lies, as a scan's do."""
    ramp = torch.linspace(-2, 2, inputs["hsi"].shape[-1])
    return torch.stack([ramp.expand(20, 20), ramp.expand(20, 20).T, inputs["hsi"][0, 0]])[None]


def test_all_views_together_turn_with_the_window():
    x = windows(pixels()[0])
    posterior = Posterior(BANDS, CLASSES, views=8)
    straight = posterior(position_logits, x)
    turned = posterior(position_logits, {m: torch.rot90(bands, 1, (-2, -1)) for m, bands in x.items()})
    torch.testing.assert_close(torch.rot90(straight, 1, (-2, -1)), turned)
    one = Posterior(BANDS, CLASSES)(position_logits, x)
    torch.testing.assert_close(one, position_logits(x).log_softmax(1))
    assert not torch.allclose(one, straight, atol=0.1)


def test_prior_power_one_undoes_the_class_frequencies():
    x, labels = pixels()
    frequencies = torch.tensor([0.5, 0.4, 0.1])  # of the windows' labels, not of the pixels'
    posterior = Posterior(BANDS, CLASSES, prior_power=1.0)
    posterior.fit(x, labels, frequencies.numpy())
    learnt = frequencies.log().view(1, -1, 1, 1).expand(1, CLASSES, 20, 20)
    found = posterior(lambda _: learnt, windows(x)).exp()
    torch.testing.assert_close(found, torch.full_like(found, 1 / CLASSES))


def test_all_views_at_once_give_the_same():
    posterior = Posterior({"hsi": 3}, 2, views=8, smooth=1.0)
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    ramp, seen = torch.arange(5.0), []  # the logits depend on the place in the view

    def logits(inputs):
        seen.append(len(inputs["hsi"]))
        return torch.stack((inputs["hsi"][:, 0] * ramp, inputs["hsi"][:, 1]), dim=1)

    one_by_one = posterior(logits, {"hsi": x})
    posterior.views_at_once = True
    torch.testing.assert_close(posterior(logits, {"hsi": x}), one_by_one)
    assert seen == [2] * 8 + [16]


def test_a_class_that_training_never_shows_is_not_divided():
    posterior = Posterior(BANDS, 2, prior_power=0.5)
    posterior.fit(*pixels(), np.array([1.0, 0.0]))
    logits = torch.tensor([0.9, 0.1]).log().view(1, 2, 1, 1)
    found = posterior(lambda _: logits, windows(pixels()[0])).exp().flatten()
    torch.testing.assert_close(found, torch.tensor([0.9, 0.1]))


EXPERT = {"type": "DiscriminantExpert", "pretreatment": {"hsi": [], "lidar": []}}


@pytest.mark.parametrize("classes", [2, 3])
def test_the_expert_is_scikit_learns_lda_and_travels_with_the_weights(classes):
    x, labels = pixels(classes=classes)
    fitted = Posterior(BANDS, classes, expert=EXPERT)
    fitted.fit(x, labels, even(classes))
    loaded = Posterior(BANDS, classes, expert=EXPERT)
    loaded.load_state_dict(fitted.state_dict())
    bands = np.concatenate([x["hsi"], x["lidar"]], axis=1)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(bands, labels)
    expected = torch.from_numpy(lda.predict_proba(bands).T).float().view(1, classes, 20, 20)
    torch.testing.assert_close(loaded.expert(windows(x)), expected, rtol=1e-3, atol=1e-4)
    network = torch.tensor([0.6, 0.3, 0.1][:classes]).view(1, -1, 1, 1).expand(1, classes, 20, 20)
    pooled = loaded(lambda _: network.log(), windows(x), windows(x)).exp()
    product = (network * expected.clamp(min=1e-6)).sqrt()  # the geometric mean of both
    torch.testing.assert_close(pooled, product / product.sum(1, keepdim=True), rtol=5e-3, atol=1e-4)


def test_the_expert_reads_means_of_bands_that_are_there_before_its_pretreatment():
    x, labels = pixels()
    config = {**EXPERT, "pretreatment": {"hsi": [{"type": "CenteredLog", "floor": 0.1}], "lidar": []}}
    single = Posterior(BANDS, CLASSES, expert=config).expert
    single.fit(x, labels)
    averaged = Posterior(BANDS, CLASSES, expert={**config, "mean": 3}).expert
    averaged.load_state_dict(single.state_dict())
    given = windows(x)
    given["hsi"][0, :, 5, 5] = torch.nan
    of_corner = {m: bands[..., :2, :2].nanmean((-2, -1), keepdim=True) for m, bands in given.items()}
    of_hole = {m: bands[..., 4:7, 4:7].nanmean((-2, -1), keepdim=True) for m, bands in given.items()}
    found = averaged(given)
    torch.testing.assert_close(found[..., :1, :1], single(of_corner), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found[..., 5:6, 5:6], single(of_hole), rtol=1e-3, atol=1e-5)


def test_the_expert_is_fitted_on_the_values_that_it_imputes():
    x, labels = pixels()
    x["lidar"][labels == 1] = np.nan  # a whole class
    x["hsi"][::7, 2] = np.nan
    posterior = Posterior(BANDS, CLASSES, expert={"type": "DiscriminantExpert"})
    posterior.fit(x, labels, even(CLASSES))
    bands = np.concatenate([x["hsi"], x["lidar"]], axis=1)
    imputed = np.nan_to_num((bands - np.nanmean(bands, 0)) / np.nanstd(bands, 0))
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(imputed, labels)
    expected = torch.from_numpy(lda.predict_proba(imputed).T).float().view(1, CLASSES, 20, 20)
    torch.testing.assert_close(posterior.expert(windows(x)), expected, rtol=1e-3, atol=1e-4)


def test_an_expert_gives_next_to_no_probability_to_a_class_without_training_pixels():
    x, labels = pixels()
    posterior = Posterior(BANDS, CLASSES + 1, expert=EXPERT)
    posterior.fit(x, labels, even(CLASSES + 1))
    assert posterior.expert(windows(x))[:, CLASSES].max() == 0
    found = posterior(lambda _: torch.zeros(1, CLASSES + 1, 20, 20), windows(x), windows(x))
    assert found.isfinite().all()
    assert found[:, CLASSES].exp().max() < 2e-3


def test_smoothing_keeps_constants_up_to_the_border_and_spreads_a_point():
    posterior = Posterior(BANDS, 2, smooth=1.5)
    logits = torch.zeros(1, 2, 20, 20)
    x = windows(pixels()[0])
    torch.testing.assert_close(posterior(lambda _: logits, x).exp(), torch.full_like(logits, 0.5))
    logits[0, 0, 10, 10] = 20
    found = posterior(lambda _: logits, x).exp()[0, 0] - 0.5
    assert found[10, 10] == found.max()
    torch.testing.assert_close(found[10, 12] / found[10, 10], torch.exp(torch.tensor(-4 / 4.5)))
    torch.testing.assert_close(found.sum(), torch.tensor(0.5), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ({"views": 4}, "views is 4"),
        ({"prior_power": 1.5}, "prior_power is 1.5"),
        ({"smooth": -1.0}, "smooth -1.0"),
        ({"expert": True}, "expert is True, expected a config"),
        ({"expert": {**EXPERT, "mean": 2}}, "mean is 2"),
    ],
)
def test_options_out_of_range_are_refused(option, named):
    with pytest.raises(InputError, match=named):
        Posterior(BANDS, CLASSES, **option)


def test_a_classifier_predicts_through_it_and_trains_without_it():
    config = {
        "type": "M3amba",
        "in_channels": BANDS,
        "num_classes": CLASSES,
        "embed_dim": 16,
        "window": 8,
        "adapter": {"type": "LinearAdapter"},
        "neck": {"type": "CrossMamba", "depth": 1, "d_state": 2},
        "posterior": {"type": "Posterior", "views": 8, "expert": EXPERT, "smooth": 1.0},
    }
    model = MODELS.build(config).eval()
    model.posterior.fit(*pixels(), even(CLASSES))
    inputs = {m: torch.randn(2, bands, 8, 8) for m, bands in BANDS.items()}
    with torch.no_grad():
        bands = {m: x + 1 for m, x in inputs.items()}
        predicted = model(inputs, mode="predict", bands=bands)
        expected = model.posterior(lambda x: model(x)["fused"], inputs, bands)
    torch.testing.assert_close(torch.stack(predicted), expected)
    torch.testing.assert_close(expected.exp().sum(1), torch.ones(2, 8, 8))
    with pytest.raises(ValueError, match="bands is None"):
        model(inputs, mode="predict")
    losses = model(inputs, mode="loss", labels=torch.ones(2, 8, 8, dtype=torch.int64))
    assert sum(losses.values()).requires_grad
