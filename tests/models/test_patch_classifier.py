"""Patch-wise models as window classifiers: each pixel's logits are those of the patch around it."""

import pytest
import torch
from torch import nn

from m3amba_zoo.datasets import SceneWindows, TrainWindows
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import PairClassifier, PatchClassifier
from m3amba_zoo.registry import MODELS


class Probe(PatchClassifier):
    """Logits of a patch from all its pixels, with one stream per modality."""

    patches_at_once = 7

    def __init__(self, in_channels, num_classes, patch, **options):
        super().__init__(in_channels, num_classes, patch, **options)
        self.weights = nn.ModuleDict(
            {m: nn.Linear(bands * patch**2, num_classes) for m, bands in self.treated_channels.items()}
        )
        self.seen = []

    def patch_logits(self, inputs):
        self.seen.append(len(next(iter(inputs.values()))))
        logits = {m: layer(inputs[m].flatten(1)) for m, layer in self.weights.items()}
        return {**logits, "fused": sum(logits.values())}


def probe(patch):
    torch.manual_seed(0)
    return Probe({"hsi": 4, "lidar": 1}, 3, patch).eval()


def windows(side, batch=2):
    generator = torch.Generator().manual_seed(1)
    return {m: torch.randn(batch, n, side, side, generator=generator) for m, n in (("hsi", 4), ("lidar", 1))}


@pytest.mark.parametrize("patch", [1, 3, 5])
def test_each_pixel_gets_the_logits_of_the_patch_around_it(patch):
    model, inputs = probe(patch), windows(4 + 2 * (patch // 2))
    maps = model(inputs)
    assert set(maps) == {"hsi", "lidar", "fused"}
    assert max(model.seen) <= model.patches_at_once
    torch.testing.assert_close(model.logits_at_once(inputs), maps)
    for row, column in ((0, 0), (1, 3), (3, 2)):
        around = {m: x[:, :, row : row + patch, column : column + patch] for m, x in inputs.items()}
        for stream, logits in model.patch_logits(around).items():
            torch.testing.assert_close(maps[stream][:, :, row, column], logits)


def test_only_needed_pixels_are_computed_and_the_others_are_nan():
    model, inputs = probe(3), windows(6)
    needed = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(2)) > 0.6
    whole = torch.stack(model(inputs, mode="predict"))
    model.seen.clear()
    part = torch.stack(model(inputs, mode="predict", needed=needed))
    assert sum(model.seen) == needed.sum()
    picked = needed[:, None].expand_as(whole)
    torch.testing.assert_close(part[picked], whole[picked])
    assert part[~picked].isnan().all()
    nowhere = torch.stack(model(inputs, mode="predict", needed=torch.zeros_like(needed)))
    assert nowhere.shape == whole.shape
    assert nowhere.isnan().all()


@pytest.mark.parametrize("side", [3, 5])
def test_the_loss_reads_the_labels_of_the_classified_pixels_alone(side):
    model, inputs = probe(3).train(), windows(side)
    labels = torch.randint(1, 4, (2, side, side), generator=torch.Generator().manual_seed(3))
    other = labels.clone()
    other[:, 0], other[:, :, -1] = 1, 2
    found = model(inputs, mode="loss", labels=labels)
    assert found == model(inputs, mode="loss", labels=other)
    expected = model.loss(model(inputs), labels[:, 1:-1, 1:-1])
    for term, value in expected.items():
        torch.testing.assert_close(found[term], value)


def test_training_windows_are_patches_around_training_pixels():
    data = {"source": {"type": "tiny"}, "split": {"type": "official"}, "modalities": ("hsi", "sar")}
    dataset = SceneWindows(**data, window=6, margin=2, part="test", whole_scenes=False)
    item = dataset[len(dataset) - 1]
    assert item["inputs"]["hsi"].shape == (6, 10, 10)
    assert item["needed"].shape == (6, 6)
    inner = SceneWindows(**data, window=6, part="test", whole_scenes=False)[len(dataset) - 1]
    assert torch.equal(item["inputs"]["sar"][:, 2:-2, 2:-2], inner["inputs"]["sar"])
    assert (item["row"], item["column"]) == (inner["row"], inner["column"])
    masks = [torch.zeros(scene.shape, dtype=torch.bool) for scene in dataset.data.scenes]
    for position in range(len(dataset)):
        item = dataset[position]
        row, column = item["row"], item["column"]
        masks[item["scene"]][row : row + 6, column : column + 6] |= item["needed"]
    for (_, mask), needed in zip(dataset.data.split.parts(dataset.data.scenes, "test"), masks, strict=True):
        assert torch.equal(torch.from_numpy(mask), needed)
    assert TrainWindows(**data, window=5, windows_per_epoch=1).metainfo["window"] == 5


def test_bad_patches_and_inputs_are_named():
    with pytest.raises(InputError, match="patch is 4, expected an odd number"):
        Probe({"hsi": 2}, 2, 4)
    with pytest.raises(InputError, match="4 x 4 pixels, fewer than the model's patch of 5 x 5"):
        probe(5)(windows(4))
    with pytest.raises(InputError, match="modality 'lidar' is missing: the model was built for hsi, lidar"):
        probe(3)({"hsi": torch.zeros(1, 4, 5, 5)})
    data = {"source": {"type": "tiny"}, "split": {"type": "official"}, "modalities": ("hsi",)}
    with pytest.raises(InputError, match="margin is -1, expected 0 or more"):
        SceneWindows(**data, window=5, margin=-1)


PAIR_NETWORKS = ["ExViT", "FusAtNet", "MFT", "MSFMamba", "S2ENet", "TwoBranchCNN"]


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_a_network_for_two_rasters_reads_further_modalities_side_by_side(name):
    """The same weights on dem and therm apart and on one raster that holds both."""
    small = {"width": 0.125} if name in ("FusAtNet", "TwoBranchCNN") else {}
    apart, stacked = (
        MODELS.build({"type": name, "in_channels": bands, "num_classes": 2, "patch": 5, **small}).eval()
        for bands in ({"opt": 4, "dem": 1, "therm": 1}, {"opt": 4, "both": 2})
    )
    assert isinstance(apart, PairClassifier)
    assert (apart.pair, apart.pair_channels) == ([("opt",), ("dem", "therm")], [4, 2])
    weights = {key.replace("dem+therm", "both"): value for key, value in apart.state_dict().items()}
    stacked.load_state_dict(weights)
    x = torch.rand(3, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    found = apart({"therm": x[:, 5:], "dem": x[:, 4:5], "opt": x[:, :4]})["fused"]
    torch.testing.assert_close(found, stacked({"opt": x[:, :4], "both": x[:, 4:]})["fused"])
    auxiliary = [axes for axes in apart.axes().values() if any("dem" in axis.modalities for axis in axes)]
    assert all(axis.modalities == ("dem", "therm") for axes in auxiliary for axis in axes)
    assert auxiliary
