"""M3amba's prior from a modality of an encoder's features."""

import pytest
import torch

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import M3amba

BANDS = {"s2": 4, "s1": 2, "galileo": 6}


def build(prior, in_channels=BANDS, **options):
    torch.manual_seed(0)
    return M3amba(
        in_channels=in_channels,
        num_classes=3,
        embed_dim=16,
        window=8,
        adapter={"type": "LinearAdapter"},
        neck={"type": "CrossMamba", "depth": 1, "d_state": 4, **options.pop("neck", {})},
        prior=prior,
        **options,
    )


def inputs():
    generator = torch.Generator().manual_seed(1)
    return {m: torch.randn(2, bands, 8, 8, generator=generator) for m, bands in BANDS.items()}


@pytest.mark.parametrize("kind", ["spatial", "global"])
def test_the_modality_is_no_stream_and_reaches_all_of_them_through_z(kind):
    model = build({"modality": "galileo", "kind": kind}).eval()
    for parameter in model.parameters():  # far from the small weights of the start
        parameter.data += 0.2 * torch.randn_like(parameter)
    given = inputs()
    logits = model(given)
    assert set(logits) == {"s2", "s1", "fused"}
    sum(x.sum() for x in logits.values()).backward()
    assert all(p.grad is not None for p in model.priors.parameters())
    moved = {**given, "galileo": given["galileo"].roll(1, dims=3)}
    same = {stream: torch.allclose(x, logits[stream], atol=1e-4) for stream, x in model(moved).items()}
    assert same == dict.fromkeys(logits, kind == "global")  # the mean does not know where a feature lies
    other = {**given, "galileo": given["galileo"] + 1}
    assert not any(torch.allclose(x, logits[stream], atol=1e-4) for stream, x in model(other).items())
    assert {axis.modalities for axes in model.axes().values() for axis in axes} >= {("galileo",)}


def test_without_a_prior_nothing_changes():
    two = {m: BANDS[m] for m in ("s2", "s1")}
    with_prior, without = build({"modality": "galileo"}), build(None, two)
    names = set(without.state_dict())
    assert names == {name for name in with_prior.state_dict() if not name.startswith("priors.")}
    assert all(torch.equal(with_prior.state_dict()[name], without.state_dict()[name]) for name in names)


@pytest.mark.parametrize(
    ("prior", "options", "said"),
    [
        ({"modality": "clip"}, {}, "of the modality 'clip', but the model reads s2, s1, galileo"),
        ({"modality": "galileo"}, {"in_channels": {"galileo": 6}}, "and others for the streams"),
        ({"modality": "galileo", "kind": "local"}, {}, "kind is 'local', expected 'spatial' or 'global'"),
        (
            {"modality": "galileo"},
            {"neck": {"fusion": "sum"}},
            "a prior is configured, but CrossMamba reads no",
        ),
        ({"modality": "galileo"}, {"encoder": {"type": "ClipImageEncoder"}}, "both given, expected one"),
        ({"modality": "s1"}, {"adapters": {"s1": {"type": "LinearAdapter"}}}, "an adapter is given for 's1'"),
    ],
)
def test_a_prior_that_cannot_be_is_refused(prior, options, said):
    with pytest.raises(InputError, match=said):
        build(prior, **options)


def test_a_global_prior_knows_one_size_of_windows():
    model = build({"modality": "galileo", "kind": "global"})
    with pytest.raises(InputError, match=r"window of 4 x 4 pixels was given, .* built for 8 x 8"):
        model({m: x[..., :4, :4] for m, x in inputs().items()})
