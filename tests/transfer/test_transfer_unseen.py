"""Transfer between networks that do not declare layers on bands, because they cannot or do not care to."""

import numpy as np
import pytest
import torch
from torch import nn

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import WindowClassifier
from m3amba_zoo.registry import MODELS
from m3amba_zoo.transfer import describe_model, transfer_weights

OLD, NEW = np.linspace(400, 1000, 40), np.linspace(400, 1000, 20)


def transfer(bands, wavelengths, treat):
    config = {
        "type": "MFT",
        "in_channels": {"hsi": bands},
        "num_classes": 3,
        "patch": 5,
        "embed_dim": 16,
        "data_preprocessor": {"type": "RasterPreprocessor", "pretreatment": {"hsi": treat}},
    }
    source = MODELS.build({**config, "in_channels": {"hsi": 40}})
    target = MODELS.build(config)
    facts = [
        describe_model(name, model, {"hsi": nm}, ("a", "b", "c"))
        for name, model, nm in (("old", source, OLD), ("new", target, wavelengths))
    ]
    return target, transfer_weights(target, source.state_dict(), *facts)


def test_a_projection_is_carried_over_as_the_network_has_learnt_to_read_it():
    target, report = transfer(20, NEW, [{"type": "PCA", "components": 12}])
    assert target.data_preprocessor.steps_of("hsi")[0].carried
    assert report.counts()["refitted"] == 0


def test_bands_that_are_taken_for_others_are_noted():
    _, report = transfer(40, OLD + 300, [{"type": "Standardize"}])
    assert "no layer declares that it reads them" in report.table()


class Undeclared(WindowClassifier):
    """A user's network without a mark on any layer."""

    def __init__(self, bands):
        super().__init__({"hsi": bands}, 2)
        self.layer, self.head = nn.Conv2d(bands, 8, 1), nn.Conv2d(8, 2, 1)

    def logits(self, inputs):
        return {"fused": self.head(self.layer(inputs["hsi"]))}


def start(bands, wavelengths, classes=("a", "b"), fresh=()):
    source, target = Undeclared(40), Undeclared(bands)
    facts = [
        describe_model("old", source, {"hsi": OLD}, ("a", "b")),
        describe_model("new", target, {"hsi": wavelengths}, classes),
    ]
    report = transfer_weights(target, source.state_dict(), *facts, fresh)
    return source, target, report


def test_a_users_network_that_declares_nothing_is_copied_where_shapes_fit():
    source, target, report = start(40, OLD + 300, classes=("b", "a"))
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())
    assert "no layer declares that it reads them" in report.table()
    assert "no layer declares that it ends in them" in report.table()
    with pytest.raises(InputError, match=r"layer.weight.*\(8, 40, 1, 1\) in old.*--fresh 'layer"):
        start(20, NEW)
    *_, report = start(20, NEW, fresh=["layer.*"])
    assert report.counts()["fresh"] == report.counts()["copied"] == 2
