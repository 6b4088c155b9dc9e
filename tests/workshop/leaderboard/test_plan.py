"""The plan: what it may say, and that the committed table and page are those of the zoo's plan."""

from pathlib import Path

import pytest

from m3amba_zoo.errors import InputError
from workshop.cli.leaderboard import main
from workshop.leaderboard.goal import filled_readme, readme_path
from workshop.leaderboard.page import of_main, render, sum_up
from workshop.leaderboard.plan import read_plan
from workshop.leaderboard.table import Table
from workshop.leaderboard.tuning import TuningTable, tuning_runs

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("seeds = (0, 1, 2, 3, 4)", ""), "has no 'seeds'"),
        (lambda text: text.replace("(0, 1, 2, 3, 4)", "(0, 0)"), "different whole numbers"),
        (lambda text: text.replace("'good_{dataset}.py'", "'bad.py'"), "model 'good' has the config bad.py"),
        (lambda text: text.replace('title="Apart"', 'variants=["fast"]'), "names the variant 'fast'"),
        (
            lambda text: text + "variants = dict(fast=dict(models=['goood'], datasets=['plots']))\n",
            "variant 'fast' has models={'goood'}",
        ),
        (lambda text: text.replace('("plots",)', '("plot",)'), "goal names the dataset 'plot'"),
        (
            lambda text: text.replace("margin=1.5", "readme='README.md'"),
            "goal has no 'margin'",
        ),
        (
            lambda text: text.replace("max_leaked_pixels=None", "max_leaked_pixels=3"),
            "random/plots/good/seed0: training windows show .* max_leaked_pixels is 3",
        ),
    ],
)
def test_a_faulty_plan_is_refused_before_anything_runs(kitchen, in_process, change, reason):
    path = kitchen.classifier("good", "ShrinkageLDA")
    path.write_text(
        path.read_text().replace("dict(type='ShrinkageLDA')", "dict(type='ShrinkageLDA', mean=3)")
    )
    kitchen.plan_path.write_text(change(kitchen.plan_path.read_text()))
    with pytest.raises(InputError, match=reason):
        main(kitchen.arguments())
    assert not kitchen.ran


def test_only_names_what_there_is(kitchen):
    kitchen.classifier("good", "ShrinkageLDA")
    with pytest.raises(InputError, match=r"--only goood: .*did you mean 'good'"):
        main(kitchen.arguments("--only", "goood"))
    with pytest.raises(InputError, match="--seeds 7"):
        main(kitchen.arguments("--seeds", "7"))


def test_the_committed_table_and_page_are_fresh():
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    cards = REPOSITORY / "model_cards"
    tuning = TuningTable(cards / "tuning.csv")
    runs = plan.runs(tuning.chosen(plan))
    for run in tuning_runs(plan, runs):
        row = tuning.rows().get((run.dataset, run.model, run.label), {"config_sha256": run.config_sha256})
        assert row["config_sha256"] == run.config_sha256, f"stale: tune {run.model} on {run.dataset} again"
    summed = sum_up(plan, Table(cards / "leaderboard.csv"), runs)
    readme = readme_path(plan)
    made = {
        REPOSITORY / "docs" / "leaderboard.md": render(plan, summed),
        readme: filled_readme(plan, of_main(summed), readme),
    }
    for path, text in made.items():
        assert path.read_text() == text, f"{path} is stale: run `python tools/leaderboard.py --page`"


def test_each_model_meets_each_dataset_of_the_plan():
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    runs = plan.runs()
    found = {(run.dataset, run.model) for run in runs if run.group == "main"}
    assert found == {(dataset, model) for dataset in plan.datasets for model in plan.models}
    assert next(run for run in runs if run.model == "lda").arguments[-2:] == ["--data", "idtrees"]
    variants = {run.model: run.base for run in runs if run.group == "ablation"}
    assert variants["m3amba_hsi"] == "m3amba"
