"""The simulator: exact, disjoint, reproducible masks; sensors that show what they should; fair difficulty."""

import itertools

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import polygamma
from sklearn.ensemble import RandomForestClassifier
from source_counts import check_counts

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.muufl import MUUFL
from m3amba_zoo.scenes.s2fl import Augsburg
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.simulated import simulate_scene
from m3amba_zoo.scenes.simulation import DsmSpec, HsiSpec, LidarSpec, SarSpec
from m3amba_zoo.scenes.simulation.materials import cover_of

UNKNOWN = tuple(LandClass(name, (9, 9, 9)) for name in ("lava", "ice sheet", "salt pan"))
LINES = tuple(LandClass(name, (9, 9, 9)) for name in ("road", "highway"))


def simulated(**arguments) -> Scene:
    return SOURCES.build({"type": "simulated", **arguments}).load()[0]


@pytest.mark.parametrize(
    ("classes", "shape", "share"),
    [
        (Houston2013.classes, (64, 150), 0.1),
        (MUUFL.classes, (130, 60), 0.8),
        (UNKNOWN, (40, 41), 0.5),
        (LINES, (20, 90), 0.3),
    ],
)
def test_official_masks_have_exactly_the_counts_asked_for(classes, shape, share):
    rng = np.random.default_rng(3)
    pixels = shape[0] * shape[1] * share
    train = (1 + rng.dirichlet(np.ones(len(classes))) * 0.2 * pixels).astype(int)
    test = (1 + rng.dirichlet(np.ones(len(classes))) * 0.8 * pixels).astype(int)
    scene = simulate_scene("simulated", classes, shape, {}, 5, tuple(train), tuple(test))
    masks = scene.official
    assert not (masks["train"] & masks["test"]).any()
    np.testing.assert_array_equal(scene.labelled, masks["train"] | masks["test"])
    for part, counts in (("train", train), ("test", test)):
        np.testing.assert_array_equal(np.bincount(scene.labels[masks[part]])[1:], counts)


def test_train_and_test_pixels_lie_in_regions_of_their_own():
    scene = simulated(height=64, width=256)
    distance = ndimage.distance_transform_edt(~scene.official["train"])[scene.official["test"]]
    assert np.median(distance) > 8  # of a random split most test pixels touch a training pixel
    patches, _ = ndimage.label(scene.official["train"])
    mine = patches[patches > 0]
    assert np.median(np.bincount(mine)[mine]) > 4  # pixels in the patch of the median pixel


def test_the_same_seed_gives_the_same_scene_whatever_the_modalities():
    classes, shape = Augsburg.classes, (48, 64)
    full = simulate_scene("simulated", classes, shape, {"hsi": HsiSpec(6), "sar": SarSpec()}, 1)
    again = simulate_scene("simulated", classes, shape, {"sar": SarSpec()}, 1)
    other = simulate_scene("simulated", classes, shape, {"sar": SarSpec()}, 2)
    np.testing.assert_array_equal(full.labels, again.labels)
    np.testing.assert_array_equal(full.rasters["sar"].data, again.rasters["sar"].data)
    assert (full.labels != other.labels).any()
    assert (full.rasters["sar"].data != other.rasters["sar"].data).all()


def test_masks_alone_are_those_of_the_whole_scene():
    source = SOURCES.build({"type": "simulated", "height": 40, "width": 60, "bands": 4})
    whole, masks = source.load()[0], source.load(rasters=False)[0]
    check_counts(source, [whole])
    assert masks.rasters == {}
    assert "simulated" in masks.name
    assert masks.name == whole.name
    for part in ("train", "test"):
        np.testing.assert_array_equal(masks.official[part], whole.official[part])


def test_sensors_show_plants_heights_water_and_speckle():
    modalities = {"hsi": HsiSpec(180, 400, 2500), "lidar": LidarSpec(4), "dsm": DsmSpec(), "sar": SarSpec()}
    scene = simulate_scene("simulated", Houston2013.classes, (120, 300), modalities)
    assert [len(raster.data) for raster in scene.rasters.values()] == [s.bands for s in modalities.values()]
    label = {land.name: index for index, land in enumerate(scene.classes, start=1)}

    def median(modality: str, name: str) -> np.ndarray:
        return np.median(scene.rasters[modality].data[:, scene.labels == label[name]], axis=1)

    hsi = scene.rasters["hsi"]
    assert hsi.data.dtype == np.uint16
    red, infrared = (int(np.argmin(abs(hsi.wavelengths - nm))) for nm in (670, 860))
    for name, plant in (
        ("healthy grass", True),
        ("trees", True),
        ("synthetic grass", False),
        ("road", False),
    ):
        reflectance = median("hsi", name)
        index = (reflectance[infrared] - reflectance[red]) / (reflectance[infrared] + reflectance[red])
        assert (index > 0.6) == plant, name
    assert median("hsi", "water")[infrared] < median("hsi", "road")[infrared]
    # the noise is the larger where water vapour leaves little light
    grass = scene.labels == label["healthy grass"]
    bends = np.diff(hsi.data[:, grass].astype(float), n=2, axis=0).std(axis=1)
    assert bends[np.argmin(abs(hsi.wavelengths - 1400)) - 1] > 2 * bends[infrared - 1]

    for modality in ("lidar", "dsm"):
        assert median(modality, "trees")[0] - median(modality, "healthy grass")[0] > 3
        assert median(modality, "commercial")[0] - median(modality, "parking lot 1")[0] > 3
    assert median("lidar", "trees")[2] < median("lidar", "trees")[0]  # the last return lies lower

    assert median("sar", "water")[0] < 0.5 * median("sar", "trees")[0]
    for modality, raster in scene.rasters.items():
        raster.check_finite(modality)


def test_speckle_has_the_number_of_looks_asked_for():
    """The logarithm of a gamma variate of shape k has the variance trigamma(k)."""
    water = (LandClass("water", (0, 0, 255)),)
    clutter = cover_of("water").clutter
    for looks in (1, 8):
        scene = simulate_scene("simulated", water, (120, 120), {"sar": SarSpec(1, looks, blur=0)})
        # neighbours lie on the same ground, so their difference is speckle and clutter alone
        spread = np.diff(np.log(scene.rasters["sar"].data[0]), axis=1)[:, ::2].var() / 2
        assert spread == pytest.approx(polygamma(1, looks) + polygamma(1, clutter), rel=0.1)


def scores(scene: Scene) -> dict[tuple[str, str], float]:
    """Overall accuracy of a random forest by modality and split; both splits have the same counts."""
    labelled = scene.labelled
    labels, official = scene.labels[labelled], scene.official["train"][labelled]
    rng = np.random.default_rng(0)
    shuffled = np.zeros_like(official)
    for label in np.unique(labels):
        pixels = np.flatnonzero(labels == label)
        shuffled[rng.choice(pixels, official[pixels].sum(), replace=False)] = True
    bands = {modality: raster.data[:, labelled].T for modality, raster in scene.rasters.items()}
    bands["both"] = np.hstack(list(bands.values()))
    found = {}
    splits = {"official": official, "random": shuffled}
    for (modality, features), (split, train) in itertools.product(bands.items(), splits.items()):
        forest = RandomForestClassifier(60, random_state=0, n_jobs=2).fit(features[train], labels[train])
        found[modality, split] = forest.score(features[~train], labels[~train])
    return found


@pytest.mark.parametrize(("kind", "second"), [("houston-like", "lidar"), ("augsburg-like", "sar")])
def test_random_splits_flatter_and_two_modalities_help(kind, second):
    runs = [scores(simulated(kind=kind, height=96, width=256, seed=seed, bands=48)) for seed in range(3)]
    mean = {key: np.mean([run[key] for run in runs]) for key in runs[0]}
    for modality in ("hsi", second, "both"):
        assert mean[modality, "random"] > mean[modality, "official"] + 0.02
    assert mean["both", "random"] > mean["both", "official"] + 0.08
    for modality in ("hsi", second):
        assert mean["both", "official"] > mean[modality, "official"] + 0.03
    assert 0.6 < mean["both", "official"] < 0.9  # as classical methods do on the real scenes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "paris-like"}, "kind is 'paris-like'"),
        ({"height": 8}, "height is 8, expected 16"),
        ({"seed": -1}, "seed is -1"),
        ({"bands": 0}, "bands is 0"),
        ({"height": 16, "width": 20}, "16 x 20 pixels is too small for 15 classes"),
    ],
)
def test_impossible_sources_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        simulated(**arguments)


def test_impossible_scenes_are_refused():
    with pytest.raises(InputError, match="contains 'simulated'"):
        simulate_scene("houston2013", Augsburg.classes, (64, 64), {})
    with pytest.raises(InputError, match="for each of the 7 classes"):
        simulate_scene("simulated", Augsburg.classes, (64, 64), {}, train_counts=(5, 5))
    with pytest.raises(InputError, match="expected at most"):
        simulate_scene("simulated", Augsburg.classes, (64, 64), {}, 0, (300,) * 7, (300,) * 7)
    with pytest.raises(InputError, match="bands is 5"):
        SarSpec(5)
