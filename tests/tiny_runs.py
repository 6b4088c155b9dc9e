"""Trainings of one small config over several seeds, with averaged weights, in seconds; and their card."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from m3amba_zoo.cli.train import main as train
from workshop.cards import build_card
from workshop.publishing import publish

REPOSITORY = Path(__file__).resolve().parents[1]
NAME = "m3amba-t_tiny"
LOADERS = """
train_dataloader = dict(
    sampler=dict(type="DrawSampler"),
    dataset=dict(type="TrainWindows", windows_per_epoch=16, **data),
    **loader,
)
test_dataloader = dict(
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(type="SceneWindows", overlap=0.5, **data),
    **loader,
)
test_evaluator = dict(type="SceneMetric")
test_cfg = dict(type="TestLoop")
"""
CONFIG = f"""
_base_ = ["{REPOSITORY}/configs/_base_/default_runtime.py"]
source = dict(type="tiny", scenes=1)
data = dict(source=source, split=dict(type="official"), modalities=("hsi", "sar"), window=8)
loader = dict(batch_size=8, num_workers=0, collate_fn=dict(type="default_collate"))
model = dict(
    type="M3amba",
    in_channels=dict(hsi=6, sar=2),
    num_classes=3,
    embed_dim=16,
    window=8,
    adapter=dict(type="LinearAdapter"),
    neck=dict(type="CrossMamba", depth=1, d_state=4),
    posterior=dict(
        type="Posterior",
        views=8,
        prior_power=0.5,
        smooth=0.5,
        expert=dict(
            type="DiscriminantExpert",
            mean=3,
            pretreatment=dict(hsi=[dict(type="UnitNorm"), dict(type="Standardize")]),
        ),
    ),
    data_preprocessor=dict(
        type="RasterPreprocessor",
        pretreatment=dict(hsi=[dict(type="UnitNorm"), dict(type="PCA", components=4)]),
    ),
)
{LOADERS}train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=3)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3))
custom_hooks = [dict(type="EMAHook", momentum=0.2)]
"""


_FOLDER = TemporaryDirectory(prefix="m3amba-tiny-runs-")  # goes when the process ends


@cache
def train_run(seed: int) -> Path:
    """Train the config above, once in a process; return the work dir, which is not to be changed."""
    config = Path(_FOLDER.name, "m3amba_tiny.py")
    config.write_text(CONFIG)
    work_dir = config.parent / f"seed{seed}"
    train([str(config), "--seed", str(seed), "--work-dir", str(work_dir)])
    return work_dir


def finished_card(work_dirs: list[Path], cards: Path) -> Path:
    """Publish runs and write by hand what a person would."""
    card = publish(work_dirs, NAME, cards).folder
    readme = card / "README.md"
    readme.write_text(readme.read_text().replace("TO BE WRITTEN", "written by hand"))
    build_card(card)
    return card
