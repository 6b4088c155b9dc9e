"""Weights of one model as the start of another: bands, classes, modalities, and refusals."""

import numpy as np
import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import MODELS
from m3amba_zoo.transfer import describe_model, resampling_matrix, transfer_weights

BANDS = {
    "the same": np.linspace(400, 1000, 144),
    "half as many": np.linspace(400, 1000, 72),
    "more": np.linspace(400, 1000, 200),
    "irregular": 400 + 600 * np.linspace(0, 1, 90) ** 1.5,
    "in another order": np.linspace(1000, 400, 144),
}
OLD = BANDS["the same"]
CLASSES = ("water", "trees", "roofs")


def spectra(wavelengths, seed=0):
    """Six smooth spectra as (6, C, 2, 2): slopes and absorptions some 100 nm wide."""
    generator = np.random.default_rng(seed)
    place, depth = generator.uniform(400, 1000, (6, 4, 1)), generator.normal(size=(6, 4, 1))
    values = (depth * np.exp(-(((wavelengths - place) / 100) ** 2))).sum(1)
    return torch.from_numpy(values).float()[:, :, None, None].expand(-1, -1, 2, 2).contiguous()


@pytest.mark.parametrize("name", BANDS)
def test_rough_weights_answer_as_before_to_smooth_spectra(name):
    new = BANDS[name]
    weights = np.random.default_rng(1).normal(size=(5, 144))
    resampled = weights @ resampling_matrix(new, OLD)
    before, now = spectra(OLD)[..., 0, 0].numpy() @ weights.T, spectra(new)[..., 0, 0].numpy() @ resampled.T
    assert np.abs(now - before).max() < 0.01 * np.abs(before).max()


def test_finer_bands_share_a_weight_and_the_same_bands_keep_it():
    np.testing.assert_allclose(resampling_matrix(OLD, OLD), np.eye(144), atol=1e-12)
    matrix = resampling_matrix(np.arange(400, 1001, 1.0), np.arange(400, 1001, 10.0))
    assert (matrix[30] > 0.05).sum() == 9  # ten 1 nm bands in a 10 nm band; noise averages out
    np.testing.assert_allclose(matrix.sum(1), 1)


def test_bands_out_of_range_are_read_as_nothing():
    matrix = resampling_matrix(np.arange(400, 1001, 10.0), np.arange(400, 2501, 10.0))
    assert (matrix[:61].sum(1) > 0.99).all()
    assert not matrix[62:].any()


def config_of(bands, classes=CLASSES, kind="M3amba", treat=None, **others):
    common = {"in_channels": bands, "num_classes": len(classes), **others}
    if treat is not None:
        common["data_preprocessor"] = {"type": "RasterPreprocessor", "pretreatment": treat}
    if kind != "M3amba":
        return {"type": kind, **common}
    adapter = {"type": "ClipAdapter", "feature_dim": 8}
    neck = {"type": "CrossMamba", "depth": 1, "d_state": 4}
    return {"type": kind, "embed_dim": 16, "window": 2, "adapter": adapter, "neck": neck, **common}


def build(config):
    return MODELS.build(config).eval()


def transfer(source, target, wavelengths=(None, None), classes=(CLASSES, CLASSES), fresh=()):
    """Transfer between the models of two configs; return both and the report."""
    torch.manual_seed(0)
    models = build(source), build(target)
    for value in models[0].parameters():
        value.data += 0.1 * torch.randn_like(value)
    facts = [
        describe_model(name, model, {"hsi": nm} if nm is not None else {}, names)
        for name, model, nm, names in zip(("old", "new"), models, wavelengths, classes, strict=True)
    ]
    report = transfer_weights(models[1], models[0].state_dict(), *facts, fresh)
    return *models, report


@pytest.mark.parametrize("kind", ["M3amba", "MambaHSI", "EndNet"])
@pytest.mark.parametrize("name", ["half as many", "more", "irregular", "in another order"])
def test_a_network_answers_as_before_at_other_bands(name, kind):
    """M3amba reads bands in an adapter, MambaHSI side by side with others, EndNet writes them too."""
    new = BANDS[name]
    options = {"concatenate": True, "pooling": False} if kind == "MambaHSI" else {}
    source, target = (config_of({"hsi": n, "sar": 2}, kind=kind, **options) for n in (144, len(new)))
    old, started, report = transfer(source, target, (OLD, new))
    size = 1 if kind == "EndNet" else 2
    sar = torch.randn(6, 2, size, size)
    with torch.no_grad():
        before = old({"hsi": spectra(OLD)[..., :size, :size], "sar": sar})["fused"]
        now = started({"hsi": spectra(new)[..., :size, :size], "sar": sar})["fused"]
    assert (now - before).abs().max() < 0.03 * before.abs().max()
    assert report.counts()["resampled"] > 0
    assert report.counts()["fresh"] == report.counts()["dropped"] == 0
    if kind == "EndNet":
        decoded = [
            model.decoders["hsi"](model._code({"hsi": spectra(nm)[..., :1, :1], "sar": sar}))
            for model, nm in ((old, OLD), (started, new))
        ]
        expected = decoded[0].detach().numpy() @ resampling_matrix(OLD, new).T
        np.testing.assert_allclose(decoded[1].detach().numpy(), expected, atol=0.02)


def test_the_same_number_of_other_bands_is_resampled_too():
    config = config_of({"hsi": 144})
    old, started, report = transfer(config, config, (OLD, OLD + 30))
    assert report.counts()["resampled"] > 0
    weights = [model.adapters["hsi"].token_embed.proj.weight for model in (old, started)]
    np.testing.assert_allclose(
        weights[1].detach(), weights[0].detach().numpy() @ resampling_matrix(OLD + 30, OLD), atol=1e-6
    )
    assert "of 400-1000 nm to 144 bands of 430-1030 nm; 7 bands of the source lie outside" in report.table()


def test_layers_of_single_bands_keep_their_own_values_where_the_source_saw_nothing():
    config = config_of(
        {"hsi": 144, "sar": 2}, kind="ExViT", patch=3, embed_dim=8, depth=1, heads=2, head_dim=4
    )
    old, started, _ = transfer(config, config, (OLD, OLD + 300))
    for leaf in ("weight", "running_var"):
        values = [model.state_dict()[f"stems.hsi.0.1.{leaf}"] for model in (old, started)]
        expected = resampling_matrix(OLD, OLD + 300) @ values[0].numpy()
        np.testing.assert_allclose(values[1][:70], expected[:70], rtol=1e-5)
        assert (values[1][80:] == 1).all()


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ({"type": "SelectBands", "drop": [(0, 9), (40, 47)]}, np.r_[10:40, 48:72]),
        ({"type": "Derivative", "length": 11}, np.r_[5:67]),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_bands_are_those_that_the_pretreatment_leaves(step, kept):
    new = BANDS["half as many"]
    source = config_of({"hsi": 144}, treat={"hsi": []})
    target = config_of({"hsi": 72}, treat={"hsi": [step, {"type": "Standardize"}]})
    old, started, report = transfer(source, target, (OLD, new))
    weights = [model.adapters["hsi"].token_embed.proj.weight.detach() for model in (old, started)]
    expected = weights[0].numpy() @ resampling_matrix(new[kept], OLD)
    np.testing.assert_allclose(weights[1], expected, atol=1e-6)
    assert f"144 bands of 400-1000 nm to {len(kept)} bands of {new[kept[0]]:.0f}-" in report.table()


DISCRIMINANTS = {"hsi": [{"type": "Standardize"}, {"type": "Discriminants", "components": 2}]}


def test_projections_are_carried_over_and_what_standardises_is_fitted_anew():
    new = BANDS["half as many"]
    source, target = (config_of({"hsi": n}, treat=DISCRIMINANTS) for n in (144, 72))
    torch.manual_seed(0)
    old, started = build(source), build(target)
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 2, 3], 40)
    mixture = np.eye(6)[labels - 1] + generator.normal(0, 0.3, (120, 6))

    def pixels(wavelengths):
        noise = np.random.default_rng(1).normal(0, 0.01, (120, len(wavelengths)))
        return (mixture @ spectra(wavelengths)[..., 0, 0].numpy() + noise).astype(np.float32)

    before = old.data_preprocessor.fit({"hsi": pixels(OLD)}, labels)["hsi"]
    facts = [describe_model(m, model, {"hsi": nm}, CLASSES) for m, model, nm in
             (("old", old, OLD), ("new", started, new))]  # fmt: skip
    report = transfer_weights(started, old.state_dict(), *facts)
    assert started.data_preprocessor.steps_of("hsi")[1].carried
    swapped = labels[::-1]  # other labels would give other discriminants
    now = started.data_preprocessor.fit({"hsi": 7 * pixels(new) + 2}, swapped)["hsi"]  # another unit
    assert np.corrcoef(before.ravel(), now.ravel())[0, 1] > 0.98
    assert torch.equal(
        started.adapters["hsi"].token_embed.proj.weight, old.adapters["hsi"].token_embed.proj.weight
    )
    assert "data_preprocessor.steps.hsi.1.weight" in [
        e.name for e in report.entries if e.action == "resampled"
    ]


def test_layers_that_read_other_components_are_refused_or_fresh():
    source, target = config_of({"hsi": 144}, treat=DISCRIMINANTS), config_of({"hsi": 144}, treat={})
    with pytest.raises(InputError, match=r"reads Discriminants \(2\) of 'hsi', this one bands; --fresh "):
        transfer(source, target, (OLD, OLD))
    readers = ["*.prior_bands.*", "*.prior_embed.proj.*", "*.token_embed.proj.*"]
    *_, report = transfer(source, target, (OLD, OLD), fresh=readers)
    assert report.counts()["fresh"] == 6


def test_another_class_list_gets_a_fresh_head_only():
    config = config_of({"hsi": 4})
    old, started, report = transfer(config, config, classes=(CLASSES, ("trees", "water", "roofs")))
    fresh = [entry.name for entry in report.entries if entry.action == "fresh"]
    assert sorted(fresh) == [f"heads.{s}.classify.{p}" for s in ("fused", "hsi") for p in ("bias", "weight")]
    assert not torch.equal(started.heads["fused"].classify.weight, old.heads["fused"].classify.weight)
    assert torch.equal(started.heads["fused"].norm.weight, old.heads["fused"].norm.weight)


def test_more_and_fewer_modalities():
    one, two = config_of({"hsi": 4}), config_of({"hsi": 4, "dem": 1})
    old, started, report = transfer(one, two)
    assert torch.equal(
        started.neck.streams["hsi"][0].scan.own.x_proj, old.neck.streams["hsi"][0].scan.own.x_proj
    )
    assert report.counts()["fresh"] == sum(".dem." in name for name in started.state_dict())
    assert "modality 'dem' is new" in report.table()
    *_, report = transfer(two, one)
    assert report.counts()["fresh"] == 0
    assert "modality 'dem' is not here" in report.table()


def test_bands_side_by_side_follow_their_modality():
    """MambaHSI reads all modalities with one layer: in another order, beside a new one, or alone."""
    options = {"kind": "MambaHSI", "concatenate": True, "pooling": False}
    x = {"hsi": torch.randn(2, 4, 4, 4), "sar": torch.randn(2, 2, 4, 4), "dem": torch.zeros(2, 1, 4, 4)}
    for target in ({"sar": 2, "hsi": 4}, {"dem": 1, "hsi": 4, "sar": 2}):
        old, started, _ = transfer(config_of({"hsi": 4, "sar": 2}, **options), config_of(target, **options))
        with torch.no_grad():
            torch.testing.assert_close(started(x)["fused"], old(x)["fused"], rtol=1e-4, atol=1e-5)
    old, started, report = transfer(config_of(target, **options), config_of({"sar": 2}, **options))
    assert torch.equal(started.embed[0].weight, old.embed[0].weight[:, 5:])
    assert "'dem' is not here; 'hsi' is not here" in report.table()


@pytest.mark.parametrize(
    ("source", "target", "options", "expected"),
    [
        ({"hsi": 6}, {"hsi": 4}, {}, r"6 bands in old and 4 in new.*init_from.source_wavelengths.hsi=\["),
        ({"hsi": 6}, {"hsi": 4}, {"wavelengths": (np.arange(1, 7), 2000 + np.arange(4))}, "no band of 'hsi'"),
        ({"hsi": 6}, {"sar": 6}, {}, "old has the modalities hsi, new has sar: none is in both"),
        ({"hsi": 6}, {"hsi": 6}, {"fresh": ["heds.*"]}, r"'heds.\*'; did you mean 'heads"),
        ({"hsi": 6}, {"hsi": 6}, {"fresh": ["*"]}, "nothing of the weights of old is left"),
    ],
)  # fmt: skip
def test_refusals_leave_the_model_as_it_is(source, target, options, expected, monkeypatch):
    changed = []
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *a, **k: changed.append(a))
    with pytest.raises(InputError, match=expected) as caught:
        transfer(config_of(source), config_of(target), **options)
    assert "\n" not in str(caught.value)
    assert not changed


def test_another_size_is_refused_until_its_parts_are_fresh():
    source, target = config_of({"hsi": 4}), config_of({"hsi": 4})
    target["neck"] = {**target["neck"], "depth": 2}
    with pytest.raises(InputError, match=r"is not in the weights of old; --fresh 'neck") as caught:
        transfer(source, target)
    assert "neck.streams.hsi.1" in str(caught.value)
    *_, report = transfer(source, target, fresh=["neck.*.1.*"])
    assert report.counts()["fresh"] > 0
