"""A small plan on generated plots, in a folder of its own."""

from pathlib import Path

from workshop.leaderboard.plan import Plan, read_plan
from workshop.leaderboard.table import Table

BASES = Path(__file__).parents[3] / "configs" / "_base_"
PLAN = """
seeds = (0, 1, 2, 3, 4)
datasets = dict(
    plots=dict(title="Plots", block=8),
    simulated_plots=dict(title="Simulated plots"),
    far=dict(title="Far away"),
)
models = MODELS
groups = dict(
    main=dict(title="Apart"),
    random=dict(
        title="Random", options=["split.random.seed=0"], max_leaked_pixels=None, own_test_parts=True
    ),
)
tuning = dict(
    group="main",
    settings=2,
    seeds=(0, 1),
    parts=dict(
        network=dict(rate=["optim_wrapper.optimizer.lr=0.01"]),
        pixel=dict(mean=["classifier.mean=3"]),
    ),
    spaces=dict(rated=["network"], choosy=["pixel"]),
)
goal = dict(model="good", datasets=("plots",), margin=1.5)
papers = dict(plots=dict(good=dict(says="99.9 / - / -", comparable="no: a | in it")))
"""
CONFIG = """
_base_ = [{bases}]
custom_imports = dict(imports=["fake_models"])
split = dict(type="by_scene", seed=0, val=dict(fraction=0.3, guard=0, seed=0))
source = {source}
window = 4
"""
NETWORK = """
model = dict(type="FakeNet", data_preprocessor=dict(type="RasterPreprocessor"))
train_cfg = dict(max_epochs=2)
train_dataloader = dict(dataset=dict(windows_per_epoch=64))
"""


class Kitchen:
    """A folder with a plan and configs; what is run and kept is below it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan_path = folder, folder / "plan.py"
        self.plan_path.write_text(PLAN.replace("MODELS", "{'none': 'none_{dataset}.py'}"))
        self.models: dict[str, str] = {}
        self.table = Table(folder / "cards" / "leaderboard.csv")
        self.ran: list[str] = []

    @property
    def plan(self) -> Plan:
        return read_plan(self.plan_path)

    def add(
        self, name: str, rest: str, source: str = "dict(type='fake_plots')", network: bool = False
    ) -> Path:
        bases = ["default_runtime.py", "datasets/windows.py"] + ["schedules/adamw.py"] * network
        path = self.folder / f"{name}.py"
        text = CONFIG.format(bases=", ".join(repr(str(BASES / base)) for base in bases), source=source)
        path.write_text(text + rest)
        self._list(name.partition("_")[0])
        return path

    def _list(self, model: str) -> None:
        """Enter a model into the plan; it has a config per dataset."""
        before = repr(self.models or {"none": "none_{dataset}.py"})
        self.models.setdefault(model, f"{model}_{{dataset}}.py")
        self.plan_path.write_text(self.plan_path.read_text().replace(before, repr(self.models)))

    def classifier(self, model: str, kind: str, dataset: str = "plots", **options) -> Path:
        return self.add(f"{model}_{dataset}", f"classifier = dict(type={kind!r})\n", **options)

    def arguments(self, *more: str) -> list[str]:
        cards, work_dirs = self.folder / "cards", self.folder / "runs"
        return [*("--plan", str(self.plan_path), "--cards", str(cards), "--work-dirs", str(work_dirs)), *more]
