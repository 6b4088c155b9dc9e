"""The plan: what it may say, and that the committed table and page are those of the zoo's plan."""

from dataclasses import replace
from pathlib import Path

import pytest

from m3amba_zoo.errors import InputError
from workshop.cli.leaderboard import main
from workshop.leaderboard.board import NoDataError, split_hash
from workshop.leaderboard.goal import filled_readme, readme_path
from workshop.leaderboard.page import of_main, render, sum_up
from workshop.leaderboard.plan import read_plan
from workshop.leaderboard.table import DONE, Table
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
            lambda text: text + "datasets['plots']['models'] = ['best']\n",
            "dataset 'plots' names the model 'best'",
        ),
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


def test_the_plan_of_encoders_has_priors_only_where_there_are_features():
    plan = read_plan(REPOSITORY / "configs" / "encoders.py")
    models = {
        dataset: {run.model for run in plan.runs() if run.dataset == dataset} for dataset in plan.datasets
    }
    baselines = {"m3amba", "two_branch_cnn", "lda", "random_forest"}
    assert models["terramind"] == models["terramind_dem"] == baselines
    own = {*baselines, "m3amba_spatial", "m3amba_global", "galileo_alone"}
    assert models["terramind_galileo"] == own | {f"{model}_random" for model in own}
    leaderboard = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    assert plan.tuning["parts"] == leaderboard.tuning["parts"], "one procedure"
    assert {about["test_sha256"] for about in plan.datasets.values()} == {
        leaderboard.datasets["terramind"]["test_sha256"]
    }


def test_the_committed_table_and_page_are_fresh(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    cards = REPOSITORY / "model_cards"
    tuning = TuningTable(cards / "tuning.csv")
    rows, runs = tuning.rows(), plan.runs(tuning.chosen(plan))
    tries = {(run.dataset, run.model, run.setting, run.seed): run for run in tuning_runs(plan, runs)}
    for key, row in rows.items():
        run = tries[key]
        assert row["config_sha256"] == run.config_sha256, f"stale: tune {run.model} on {run.dataset} again"
    table = Table(cards / "leaderboard.csv")
    summed = sum_up(plan, table, runs)
    readme = readme_path(plan)
    made = {
        REPOSITORY / "docs" / "leaderboard.md": render(plan, table, summed),
        readme: filled_readme(plan, of_main(summed), readme),
    }
    for path, text in made.items():
        assert path.read_text() == text, f"{path} is stale: run `python tools/leaderboard.py --page`"


def test_no_pixel_of_a_test_part_was_in_any_try():
    """The parts of a split never share a pixel, so that the hash of the test part proves it."""
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    apart = {name: about["test_sha256"] for name, about in plan.datasets.items() if "test_sha256" in about}
    assert {"idtrees", "terramind", "mmlsv2"} <= apart.keys()
    tries = TuningTable(REPOSITORY / "model_cards/tuning.csv").rows().values()
    results = [row for key, row in Table(REPOSITORY / "model_cards/leaderboard.csv").rows().items()]
    for row in [*tries, *(row for row in results if row["group"] != "random")]:
        if row["status"] == DONE and row["dataset"] in apart:
            assert (row["test_sha256"], row["leaked_pixels"]) == (apart[row["dataset"]], "0"), row
    for row in tries:
        assert row["part"] == "val"


@pytest.mark.parametrize("dataset", ["idtrees", "terramind", "mmlsv2"])
def test_the_splits_of_tries_are_those_that_configs_make(dataset):
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    rows = TuningTable(REPOSITORY / "model_cards/tuning.csv").rows()
    tries = {r.seed: r for r in tuning_runs(plan, plan.runs()) if (r.dataset, r.model) == (dataset, "lda")}
    for run in tries.values():
        try:
            sha256 = split_hash(run)  # refuses another test part than the plan's
        except NoDataError as error:
            pytest.skip(str(error))
        made = {row["split_sha256"] for key, row in rows.items() if (key[0], key[3]) == (dataset, run.seed)}
        assert made <= {sha256, ""}


def test_a_config_for_one_dataset_has_the_setting_that_was_chosen_there():
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    chosen = TuningTable(REPOSITORY / "model_cards/tuning.csv").chosen(plan)
    of_main = {run.dataset: run for run in plan.runs(chosen) if run.key[::2] == ("main", "m3amba")}
    compared = [dataset for dataset, model in chosen if model == "m3amba"]
    assert "idtrees" in compared
    for dataset in compared:
        run = of_main[dataset]
        own = replace(run, config=f"m3amba_{dataset}.py", data=None, tuned=())
        assert own.config_sha256 == run.config_sha256, f"{own.config} is not as {run.tuned} make it"


def test_each_model_meets_each_dataset_of_the_plan():
    plan = read_plan(REPOSITORY / "configs" / "leaderboard.py")
    runs = plan.runs()
    found = {(run.dataset, run.model) for run in runs if run.group == "main"}
    assert found == {(dataset, model) for dataset in plan.datasets for model in plan.models}
    assert next(run for run in runs if run.model == "lda").arguments[-2:] == ["--data", "idtrees"]
    variants = {run.model: run.base for run in runs if run.group == "ablation"}
    assert variants["m3amba_hsi"] == "m3amba"
