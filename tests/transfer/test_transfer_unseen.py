"""Transfer between networks whose layers on bands are not seen, as those behind a 3D convolution."""

import numpy as np

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
