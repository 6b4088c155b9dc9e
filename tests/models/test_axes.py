"""What every registered network declares of itself is true: its axes of bands and classes, its modalities."""

import pytest
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import WindowClassifier, reads_bands, writes_classes
from m3amba_zoo.models.axes import LAYERS, NORMS, Axis
from m3amba_zoo.registry import ADAPTERS, MODELS

M3AMBA = {"embed_dim": 16, "window": 8, "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4}}
BACKBONES = {
    "ResNet_CIFAR": {"depth": 18, "stem_channels": 8, "base_channels": 8, "out_indices": (0, 1)},
    "ConvNeXt": {
        "arch": {"depths": [1, 1], "channels": [8, 16]},
        "stem_patch_size": 1,
        "out_indices": (0, 1),
        "gap_before_final_norm": False,
    },
    "VisionTransformer": {
        "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32},
        "img_size": 8,
        "patch_size": 2,
        "out_type": "featmap",
    },
}
OPTIONS = {
    "M3amba": [
        *({**M3AMBA, "adapter": {"type": name}} for name in ADAPTERS.names()),
        {**M3AMBA, "adapter": {"type": "ClipAdapter", "image_size": 32}},
    ],
    "BackboneClassifier": [
        {"window": 8, "backbone": {"type": f"mmpretrain.{name}", **options}}
        for name, options in BACKBONES.items()
    ],
    "MambaHSI": [{}, {"concatenate": True}],
    "FusAtNet": [{"width": 0.125}],
    "TwoBranchCNN": [{"width": 0.125}],
}
CONFIGS = [
    {"type": name, **options}
    for name in MODELS.names()
    if (kind := MODELS.get(name)).__module__.startswith("m3amba_zoo.") and issubclass(kind, WindowClassifier)
    for options in OPTIONS.get(name, [{}])
]
every_network = pytest.mark.parametrize(
    "config", CONFIGS, ids=[f"{config['type']}-{index}" for index, config in enumerate(CONFIGS)]
)
STEPS = {"hsi": 16, "lidar": 32}  # how many more bands the larger network has; their sums differ
MORE_CLASSES = 7


def build(config, in_channels, num_classes=3, **options):
    torch.manual_seed(0)
    return MODELS.build({**config, "in_channels": in_channels, "num_classes": num_classes, **options})


def found_axes(model, larger):
    """Find the axes of bands and classes of layers and norms by comparison with a larger network."""
    found, larger = {}, larger.state_dict()
    for name, value in model.state_dict().items():
        prefix, _, leaf = name.rpartition(".")
        layer, axes = model.get_submodule(prefix), []
        for dim, (size, grown) in enumerate(zip(value.shape, larger[name].shape, strict=True)):
            held = tuple(m for m in STEPS if (grown - size) & STEPS[m])
            bands = sum(model.treated_channels[m] for m in held)
            reads = isinstance(layer, LAYERS) and leaf == "weight" and dim == 1
            writes = isinstance(layer, LAYERS + NORMS) and dim == 0
            if not (reads or writes) or grown == size:
                continue
            if grown - size == MORE_CLASSES and size == model.num_classes:
                axes.append(Axis(dim, (), reads))
            elif grown - size == sum(STEPS[m] for m in held) and size == bands:
                axes.append(Axis(dim, held, reads))
        if axes:
            found[name] = tuple(axes)
    return found


@every_network
def test_a_network_declares_the_axes_that_grow_with_bands_and_classes(config):
    bands = {"hsi": 13, "lidar": 2}
    model = build(config, bands)
    larger = build(config, {m: n + STEPS[m] for m, n in bands.items()}, 3 + MORE_CLASSES)
    assert model.axes() == found_axes(model, larger)
    assert any(not axis.modalities for axes in model.axes().values() for axis in axes), "it ends in classes"


@every_network
def test_modalities_put_bands_given_in_any_order_into_the_networks(config):
    preprocessor = {"data_preprocessor": {"type": "RasterPreprocessor"}}
    expected = build(config, {"s2": 9, "s1": 2}, **preprocessor).eval()
    found = build(config, {"s1": 2, "s2": 9}, modalities=["s2", "s1"], **preprocessor).eval()
    assert list(found.in_channels) == list(found.treated_channels) == ["s2", "s1"]
    state = expected.state_dict()
    assert list(found.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in found.state_dict().items())
    side = getattr(found, "patch", 8)
    inputs = {m: torch.randn(2, n, side, side) for m, n in (("s1", 2), ("s2", 9))}
    with torch.no_grad():
        for stream, logits in expected(inputs).items():
            assert torch.equal(found(inputs)[stream], logits)


def test_modalities_must_name_those_of_in_channels():
    config = {"type": "EndNet", "in_channels": {"hsi": 4, "sar": 2}, "num_classes": 2}
    with pytest.raises(InputError, match=r"modalities is \['hsi', 'dem'\], expected .*: hsi, sar"):
        MODELS.build({**config, "modalities": ["hsi", "dem"]})


def test_a_layer_may_read_bands_and_end_in_classes_at_once():
    class Linear(WindowClassifier):
        def __init__(self, transposed, in_channels, num_classes):
            super().__init__(in_channels, num_classes)
            kind = nn.ConvTranspose2d if transposed else nn.Conv2d
            self.hsi = writes_classes(reads_bands(kind(in_channels["hsi"], num_classes, 1)))

        def logits(self, inputs):
            return {"fused": self.hsi(inputs["hsi"])}

    for transposed in (False, True):
        model = Linear(transposed, {"hsi": 5}, 3)
        assert isinstance(model.hsi, _ConvNd)
        assert model.axes()["hsi.bias"] == (Axis(0, (), False),)
        for axis in model.axes()["hsi.weight"]:
            assert model.hsi.weight.shape[axis.dim] == (5 if axis.modalities == ("hsi",) else 3)
            assert axis.reads == bool(axis.modalities)
