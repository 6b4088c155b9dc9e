"""A record's predictions: checked against its matrix, and laid on spatial blocks."""

from dataclasses import replace

import numpy as np
import pytest

from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation import SceneLogits, evaluate_scenes, fixed_part
from m3amba_zoo.evaluation.record import check_scores
from m3amba_zoo.evaluation.scores import pack_predicted, unpack_predicted
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.splits import Split
from m3amba_zoo.splits.places import SceneGroups
from m3amba_zoo.splits.scene_data import SceneData

CLASSES = tuple(LandClass(name, (0, 0, 0)) for name in ("water", "trees", "built"))
SHAPES = ((5, 7), (3, 3), (4, 4))  # the last scene has no test pixel


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    scenes, masks = [], {}
    for index, shape in enumerate(SHAPES):
        scene = Scene(f"plot{index}", {}, generator.integers(1, 4, shape).astype(np.uint8), CLASSES)
        test = (generator.random(shape) < 0.6) & (index < 2)
        masks[scene.name] = {"train": ~test, "val": np.zeros(shape, bool), "test": test}
        scenes.append(scene)
    return SceneData("plots", scenes, Split("some", masks), CLASSES)


@pytest.fixture(scope="module")
def record(data):
    generator = np.random.default_rng(1)
    stitched = []
    for scene in data.scenes:
        logits = SceneLogits(len(CLASSES), scene.shape)
        values = generator.standard_normal((len(CLASSES), *scene.shape), dtype=np.float32)
        for row in range(scene.shape[0]):
            logits.add(values[:, row : row + 1, :], row, 0)
        stitched.append(logits)
    scores = evaluate_scenes(stitched, data.scenes, data.split, "test").scores
    pixels = {part: data.split.count(part) for part in ("train", "val", "test")}
    return {**scores, "split": {"part": "test", "pixels": pixels}}


def test_pixels_are_listed_in_the_record_s_order_with_blocks_that_stay_in_their_scene(data, record):
    labels, blocks = [], []
    for scene in data.scenes:  # in plain loops
        for row, column in np.ndindex(scene.shape):
            if data.split.masks[scene.name]["test"][row, column]:
                labels.append(scene.labels[row, column])
                blocks.append((scene.name, row // 3, column // 3))
    found = fixed_part(data, 3)
    assert found.labels.tolist() == labels
    numbers = {block: number for number, block in enumerate(sorted(set(blocks)))}
    assert found.blocks.tolist() == [numbers[block] for block in blocks]
    assert {name for name, *_ in numbers} == {"plot0", "plot1"}
    assert len(np.unique(fixed_part(data, 7).blocks)) == 2  # one per scene

    predicted = unpack_predicted(record["predicted"], record["pixels"])
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (np.array(labels) - 1, predicted - 1), 1)
    assert confusion.tolist() == record["confusion"]


def test_blocks_are_the_groups_that_the_split_keeps_together(data):
    groups = SceneGroups({"plot0": 4, "plot1": 2, "plot2": 4})
    grouped = replace(data, split=replace(data.split, groups=groups))
    tested = [int(data.split.masks[f"plot{index}"]["test"].sum()) for index in (0, 1)]
    assert fixed_part(grouped).blocks.tolist() == [1] * tested[0] + [0] * tested[1]
    assert fixed_part(data).blocks.tolist() == [0] * tested[0] + [1] * tested[1], "each scene"


def test_predictions_that_contradict_the_matrix_are_noticed(data, record):
    labels = fixed_part(data, 3).labels
    check_scores(record, "run", labels)
    predicted = unpack_predicted(record["predicted"], record["pixels"]).copy()

    order = np.argsort(predicted, kind="stable")  # the same classes on other pixels
    moved = {**record, "predicted": pack_predicted(predicted[order])}
    check_scores(moved, "run")
    with pytest.raises(
        InputError, match=r"run: \d+ pixels of '\w+' are predicted as '\w+', but the confusion"
    ):
        check_scores(moved, "run", labels)
    with pytest.raises(InputError, match=f"{len(labels)} pixels were scored, but {len(labels) - 1} have"):
        check_scores(record, "run", labels[1:])

    for value, message in ((2 if predicted[0] != 2 else 1, "as '"), (4, "class 4, expected 1 to 3")):
        other = np.r_[value, predicted[1:]]
        with pytest.raises(InputError, match=message):
            check_scores({**record, "predicted": pack_predicted(other)}, "run")
