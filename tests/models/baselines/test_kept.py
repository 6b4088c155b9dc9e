"""A classical classifier is kept without pickles, and predicts as it did when it was fitted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from m3amba_zoo import Predictor
from m3amba_zoo.cli.train import main
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.baselines.kept import FILE, keep, read_kept
from m3amba_zoo.registry import CLASSIFIERS, SOURCES
from m3amba_zoo.splits import build_split
from m3amba_zoo.splits.scene_data import SceneData

MODALITIES = ("sar", "hsi")
FOREST = {"type": "RandomForest", "trees": 7, "leaf": 2}
KINDS = [{"type": "ShrinkageLDA"}, {"type": "SVM", "balanced": True}, FOREST]
CONFIG = """
source = dict(type="tiny", scenes=2)
split = dict(type="official")
modalities = {modalities}
classifier = {classifier}
test_dataloader = dict(dataset=dict(type="SceneWindows"))
"""


def tiny_data(classes):
    scenes = []
    for scene in SOURCES.build({"type": "tiny"}).load():
        kept = scene.labels <= classes
        official = {part: mask & kept for part, mask in scene.official.items()}
        labels = np.where(kept, scene.labels, 0).astype(np.uint8)
        noise = {m: np.random.default_rng(1).normal(0, 700, r.data.shape) for m, r in scene.rasters.items()}
        rasters = {m: replace(r, data=r.data + noise[m].astype(np.float32)) for m, r in scene.rasters.items()}
        table = scene.classes[:classes]
        scenes.append(replace(scene, labels=labels, classes=table, official=official, rasters=rasters))
    return SceneData("tiny", scenes, build_split({"type": "official"}, scenes), scenes[0].classes)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["type"])
def test_what_is_read_again_gives_the_same_probabilities(kind, classes, tmp_path):
    data = tiny_data(classes)
    pretreatment = {"hsi": [{"type": "UnitNorm"}, {"type": "PCA", "components": 4}]}
    config = {**kind, "pretreatment": pretreatment, "mean": 3}
    fitted = CLASSIFIERS.build({**config, "modalities": MODALITIES})
    fitted.fit(data, 0)
    assert keep(fitted, tmp_path / FILE, {"sar": 2, "hsi": 6}, classes)
    model = read_kept(tmp_path / FILE, config)
    assert (list(model.in_channels), model.margin, model.num_classes) == (["sar", "hsi"], 1, classes)
    pixels = fitted.spectra.of_rows(data.scenes[0], 0, 20)
    expected, found = fitted.of_pixels(pixels, classes), model.classifier.of_pixels(pixels, classes)
    assert len(np.unique(expected.argmax(axis=1))) == classes
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert keep(model.classifier, tmp_path / "again", {"sar": 2, "hsi": 6}, classes)
    assert (tmp_path / "again").read_bytes() == (tmp_path / FILE).read_bytes()


def train(folder, classifier, modalities=MODALITIES, *options):
    config = folder / "mine.py"
    config.write_text(CONFIG.format(classifier=classifier, modalities=list(modalities)))
    assert main([str(config), "--work-dir", str(folder / "run"), *options]) == 0
    return folder / "run"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["type"])
def test_a_work_dir_predicts_the_map_that_its_test_wrote(kind, tmp_path):
    run = train(tmp_path, {**kind, "mean": 3})
    record = json.loads((run / "metrics.json").read_text())
    assert record["weights"]["file"] == FILE
    predictor = Predictor(run)
    assert [entry.name for entry in predictor.classes] == ["water", "trees", "roofs"]
    for scene in SOURCES.build({"type": "tiny", "scenes": 2}).load():
        predicted = predictor.predict(scene.rasters).class_map
        with rasterio.open(run / "maps" / f"{scene.name}.tif") as file:
            written = file.read(1)
        assert len(np.unique(predicted)) == 3
        inside = slice(1, -1)  # a mean over three pixels differs at the border
        np.testing.assert_array_equal(predicted[inside, inside], written[inside, inside])


def test_what_cannot_be_read_is_refused(tmp_path):
    run = train(tmp_path, {"type": "ShrinkageLDA"})
    config = tmp_path / "network.py"
    config.write_text('_base_ = "m3amba_zoo::m3amba_demo"\n')
    with pytest.raises(InputError, match="run: a classical classifier has no weights to start from"):
        main([str(config), "--work-dir", str(tmp_path / "other"), "--init-from", str(run)])
    with pytest.raises(InputError, match="holds a ShrinkageLDA, but the config has a SVM"):
        read_kept(run / FILE, {"type": "SVM"})
    with pytest.raises(InputError, match="not the classifier of this config"):
        read_kept(run / FILE, {"type": "ShrinkageLDA", "pretreatment": {"hsi": [{"type": "UnitNorm"}]}})
    with pytest.raises(InputError, match=r"absent: no such file"):
        read_kept(tmp_path / "absent", {"type": "ShrinkageLDA"})
    (run / FILE).write_bytes(b"damaged")
    with pytest.raises(InputError, match="sha256"):
        Predictor(run)
    with pytest.raises(InputError, match="damaged"):
        read_kept(run / FILE, {"type": "ShrinkageLDA"})


def test_a_classifier_by_place_is_not_kept_and_says_so(tmp_path, capsys):
    run = train(tmp_path, {"type": "ShrinkageLDA"})
    run = train(tmp_path, {"type": "Position"}, MODALITIES, "--overwrite")
    assert "a Position keeps nothing" in capsys.readouterr().out
    assert not (run / FILE).exists(), "that of the run before"
    with pytest.raises(InputError, match=r"mine\.py: a Position keeps nothing"):
        Predictor(run)
