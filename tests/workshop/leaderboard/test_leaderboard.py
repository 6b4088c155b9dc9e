"""The leaderboard: what runs, what is kept, what is refused, and the page."""

import json
import os
import re
import shutil
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from small_plan import NETWORK

from m3amba_zoo.cli import train
from m3amba_zoo.errors import InputError
from m3amba_zoo.evaluation.record import build_record
from workshop.cli.leaderboard import main
from workshop.leaderboard import processes
from workshop.leaderboard.processes import Processes, _resumable
from workshop.leaderboard.table import COLUMNS, check_record

REPOSITORY = Path(__file__).parents[3]


def page_of(kitchen, *path: str) -> str:
    assert main(kitchen.arguments("--page", *path)) == 0
    return Path(*(path or ("docs", "leaderboard.md"))).read_text()


def test_a_run_that_fails_leaves_its_reason_and_the_rest_goes_on(kitchen, monkeypatch, capsys):
    kitchen.classifier("good", "ShrinkageLDA")
    kitchen.classifier("broken", "Broken")
    kitchen.classifier("good", "ShrinkageLDA", "far", source="dict(type='houston2013', root='nowhere')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(REPOSITORY)]))
    assert main(kitchen.arguments("--only", "main", "--seeds", "0", "--jobs", "2")) == 1
    rows = kitchen.table.rows()
    good, broken, far = (
        rows["main", d, m, 0] for d, m in (("plots", "good"), ("plots", "broken"), ("far", "good"))
    )
    assert (good["status"], good["leaked_pixels"], good["window"]) == ("done", "0", "1")
    assert float(good["oa"]) > 0.8
    assert (broken["status"], broken["reason"]) == ("failed", "error: nothing fits with seed 0")
    assert (far["status"], far["oa"]) == ("no data here", "")
    assert "nowhere" not in far["reason"]
    output = capsys.readouterr().out
    assert "2 runs to do, 0 done, 1 without data here" in output
    assert "not run: far, because the files of 'houston2013' are not here" in output
    assert "main/plots/good/seed0: oa 0." in output
    page = page_of(kitchen)
    assert "- broken, seed 0 failed: error: nothing fits with seed 0" in page
    assert "No data here" in page


def test_results_are_compared_on_the_same_pixels_and_the_random_split_apart(kitchen, in_process):
    kitchen.classifier("good", "ShrinkageLDA")
    kitchen.classifier("hasty", "Hasty")
    assert main(kitchen.arguments("--jobs", "1")) == 0
    rows = kitchen.table.rows()
    assert len(rows) == 20
    for seed in kitchen.plan.seeds:
        mine, theirs = (rows["main", "plots", model, seed] for model in ("good", "hasty"))
        assert mine["split_sha256"] == theirs["split_sha256"]
    assert all("+random" in row["split"] for key, row in rows.items() if key[0] == "random")

    assert len({row["test_sha256"] for key, row in rows.items() if key[0] == "main"}) == 1, (
        "set apart for good"
    )
    oa = {
        m: np.array([float(rows["main", "plots", m, seed]["oa"]) for seed in range(5)])
        for m in ("good", "hasty")
    }
    page = page_of(kitchen)
    ahead = 100 * (oa["good"].mean() - oa["hasty"].mean())
    assert ahead > 1
    sentence = rf"good is {ahead:.2f} points of OA ahead of .* on each \[\+[\d., +]+\]; the goal is 1.50"
    assert re.search(sentence, page)
    apart, random = page.split("## Random")
    apart = apart.partition("## Apart")[2]
    line = next(line for line in apart.splitlines() if line.startswith("| hasty | "))
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[1] == f"{100 * oa['hasty'].mean():.1f} ± {100 * oa['hasty'].std(ddof=1):.1f}"
    assert cells[4:6] == ["5 of 5", "2"]
    low, high = map(float, re.fullmatch(rf"-{ahead:.1f} \[(-[\d.]+), (-[\d.]+)\]", cells[6]).groups())
    assert low < -ahead < high < 0
    assert float(cells[9]) < 0.05
    assert "no: a \\| in it" in apart
    assert "OA gained by leakage" in random
    assert "OA gained" not in apart
    assert page == page_of(kitchen)


README = "# Zoo\n\n<!-- generated: results -->\n<!-- end: results -->\n\nMore.\n"
SHOWN = 'margin=1.5, readme="README.md", shown=dict(rare="the | rare one", hasty="hasty", good="**good**")'


def test_a_readme_that_the_goal_names_gets_its_table(kitchen, in_process):
    kitchen.plan_path.write_text(kitchen.plan_path.read_text().replace("margin=1.5", SHOWN))
    kitchen.classifier("good", "ShrinkageLDA")
    kitchen.classifier("hasty", "Hasty")
    assert main(kitchen.arguments("--only", "main", "--jobs", "1")) == 0
    Path("README.md").write_text(README)
    with pytest.raises(InputError, match="goal shows 'rare', but the main group has no config"):
        main(kitchen.arguments("--page"))
    assert not Path("docs").exists()  # nothing half-written

    kitchen.classifier("rare", "ShrinkageLDA")
    assert main(kitchen.arguments("--only", "main", "rare", "--seeds", "0", "1", "--jobs", "1")) == 0
    page_of(kitchen, "elsewhere.md")
    assert Path("README.md").read_text() == README
    page_of(kitchen)
    readme = Path("README.md").read_text()
    assert readme.startswith("# Zoo\n")
    assert readme.endswith("\nMore.\n")
    cells = [line.split(" | ") for line in readme.splitlines() if line.startswith("| ")]
    assert [line[0] for line in cells[2:]] == ["| **good**", "| hasty", "| the \\| rare one"]
    rows = [kitchen.table.rows()["main", "plots", "good", seed] for seed in range(5)]
    means = [100 * np.mean([float(row[score]) for row in rows]) for score in ("oa", "aa", "kappa")]
    assert cells[2][1:] == [" / ".join(f"{mean:.1f}" for mean in means), f"{means[0]:.1f} |"]
    assert cells[4][1:] == ["-", "- |"]  # two seeds of five

    Path("README.md").write_text("# Zoo\n")
    with pytest.raises(InputError, match="has no '<!-- generated: results -->'"):
        main(kitchen.arguments("--page"))


def test_a_variant_is_measured_against_its_model(kitchen, in_process):
    group = 'ablation=dict(title="Variants", variants=["fast"]), random=dict('
    variant = 'dict(models=["good"], datasets=["plots"], options=["classifier.type=Hasty"])'
    text = kitchen.plan_path.read_text().replace("random=dict(", group)
    kitchen.plan_path.write_text(f"{text}variants = dict(fast={variant})\n")
    kitchen.classifier("good", "ShrinkageLDA")
    assert main(kitchen.arguments("--only", "main|ablation", "--seeds", "0", "1", "--jobs", "1")) == 0
    rows = kitchen.table.rows()
    ahead = [
        np.mean([float(rows["ablation", "plots", "good_fast", s][score]) for s in (0, 1)])
        - np.mean([float(rows["main", "plots", "good", s][score]) for s in (0, 1)])
        for score in ("oa", "aa", "kappa")
    ]
    assert ahead[0] < 0
    line = next(line for line in page_of(kitchen).splitlines() if line.startswith("| good_fast | "))
    found = [cell.split()[0] for cell in line.split("|")[6:9]]
    assert found == [f"{100 * value:+.1f}" for value in ahead]


def test_finished_runs_are_not_run_again_and_changed_ones_are(kitchen, in_process):
    config = kitchen.classifier("good", "ShrinkageLDA")
    arguments = kitchen.arguments("--only", "main", "--seeds", "0", "1", "--jobs", "1")
    main(arguments)
    assert kitchen.ran == ["main/plots/good/seed0", "main/plots/good/seed1"]

    shutil.rmtree("runs")  # the results are in the repository, work dirs are not
    main(arguments)
    assert len(kitchen.ran) == 2
    assert "to be run again" not in page_of(kitchen)

    config.write_text(config.read_text().replace("type='ShrinkageLDA'", "type='ShrinkageLDA', mean=1"))
    assert "good: its config or options have changed since" in page_of(kitchen)
    main(arguments)
    assert len(kitchen.ran) == 4

    kitchen.table.path.unlink()  # the work dirs have the results
    main(arguments)
    assert len(kitchen.ran) == 4
    assert len(kitchen.table.rows()) == 2


class Client:
    """Stands for a Dask client with one worker; distributed's own is tried in tests/inference."""

    def submit(self, function, *arguments, pure):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("echo", "run"), ""),
        (("sh", "-c", "echo no disk; exit 2"), "no disk"),
        (("/nowhere",), "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'"),
    ],
)
def test_the_workers_of_a_cluster_do_the_runs(kitchen, monkeypatch, command, reason):
    kitchen.classifier("good", "ShrinkageLDA")
    run = kitchen.plan.runs()[0]
    work_dir = Path("runs", run.place)
    work_dir.parent.mkdir(parents=True)
    monkeypatch.setattr(processes, "COMMAND", command)
    assert Processes(Path("runs"), 1, Client())._train(run, work_dir) == reason
    if not reason:
        text = work_dir.with_name("seed0.log").read_text()
        assert f"{run.config} --seed 0 --work-dir {work_dir} --resume" in text


def test_a_run_that_another_leaderboard_does_is_left_to_it(kitchen, in_process, capsys):
    kitchen.classifier("good", "ShrinkageLDA")
    arguments = kitchen.arguments("--only", "main", "--seeds", "0")
    Path("runs/main/plots/good").mkdir(parents=True)
    with FileLock("runs/main/plots/good/seed0.lock"):
        assert main(arguments) == 0
    assert kitchen.ran == []
    assert not kitchen.table.rows()
    assert "another leaderboard" in capsys.readouterr().out


def test_a_training_that_a_killed_leaderboard_left_is_waited_for_and_not_doubled(
    kitchen, in_process, monkeypatch, capsys
):
    kitchen.classifier("good", "ShrinkageLDA")
    run = next(run for run in kitchen.plan.runs() if run.seed == 0)
    looks = []

    def ends_meanwhile(work_dir):  # the training that was left ends between two looks
        looks.append(work_dir)
        if len(looks) == 2:
            train.main([*run.arguments, "--work-dir", str(work_dir)])
        return len(looks) < 3

    monkeypatch.setattr(processes, "is_busy", ends_meanwhile)
    monkeypatch.setattr(processes, "BETWEEN_LOOKS", 0)
    assert main(kitchen.arguments("--only", "main", "--seeds", "0")) == 0
    assert looks == [kitchen.folder / "runs" / run.place] * 3
    assert kitchen.ran == []  # its result is taken
    assert kitchen.table.rows()[run.key]["status"] == "done"
    assert "waiting for its end" in capsys.readouterr().out


def test_an_interrupted_training_is_resumed_unless_its_config_changed(kitchen, in_process, capsys):
    config = kitchen.add("net_plots", NETWORK, network=True)
    run = next(run for run in kitchen.plan.runs() if run.seed == 1)
    work_dir = Path("runs", run.place)
    train.main([str(config), "--seed", "1", "--work-dir", str(work_dir), "--no-test"])  # all but the test
    assert _resumable(work_dir, run)
    assert not _resumable(work_dir, replace(run, options=("optim_wrapper.optimizer.lr=1",)))
    assert main(kitchen.arguments("--only", "main", "--seeds", "1")) == 0
    assert re.search(r"resumes .*main/plots/net/seed1/epoch_2.pth", capsys.readouterr().out)
    row = kitchen.table.rows()[run.key]
    assert (row["trained_parameters"], row["status"]) == ("18", "done")
    # windows of 4 at stride 2 over 16 x 16 pixels are 7 x 7: so often is each pixel computed
    assert float(row["flops_per_pixel"]) == pytest.approx(2 * 5 * 3 * 7 * 7 * 4 * 4 / 16**2, rel=1e-5)
    assert float(row["train_seconds"]) > 0


def test_checkpoints_of_a_changed_config_are_moved_aside(kitchen, monkeypatch, capsys):
    kitchen.add("net_plots", NETWORK, network=True)
    run = kitchen.plan.runs()[0]
    work_dir = Path("runs", run.place)
    monkeypatch.setattr(processes, "COMMAND", ("true",))
    for name in ("seed0.before", "seed0.before2"):
        (work_dir / "best").mkdir(parents=True)
        (work_dir / "best/epoch_1.pth").touch()
        assert Processes(Path("runs"), 1)._train(run, work_dir) == ""
        assert not work_dir.exists()
        assert (work_dir.with_name(name) / "best/epoch_1.pth").is_file()
        assert f"its checkpoints are now in {work_dir.with_name(name)}\n" in capsys.readouterr().out
    work_dir.mkdir()
    Processes(Path("runs"), 1)._train(run, work_dir)
    assert not work_dir.exists()
    assert not work_dir.with_name("seed0.before3").exists()


def change_record(kitchen, change):
    path = kitchen.table.record_path(("main", "plots", "good", 0))
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def change_row(kitchen, column, value):
    header, row = kitchen.table.path.read_text().splitlines()
    cells = row.split(",")
    cells[COLUMNS.index(column)] = value
    kitchen.table.path.write_text(f"{header}\n{','.join(cells)}\n")


TAMPERED = {
    "a better score in the table": (
        lambda k: change_row(k, "oa", "0.999000"),
        "main/plots/good/0 has oa '0.999000'.*not to be edited by hand",
    ),
    "a better score in the record": (lambda k: change_record(k, lambda r: r.update(oa=1.0)), "oa is 1.0"),
    "fewer pixels": (
        lambda k: change_record(k, lambda r: r["split"]["pixels"].update(test=9999)),
        "pixels, but the split has 9999 test pixels",
    ),
    "a row twice": (
        lambda k: k.table.path.write_text(
            k.table.path.read_text() + k.table.path.read_text().splitlines()[1] + "\n"
        ),
        "line 3: a second row of main/plots/good/0",
    ),
    "a status that is none": (lambda k: change_row(k, "status", "ok"), "status is 'ok'"),
    "a path for a name": (
        lambda k: change_row(k, "dataset", "/dev/null"),
        "line 2: dataset is '/dev/null', expected a name",
    ),
    "a row of no run": (lambda k: change_row(k, "seed", "9"), "main/plots/good/9 is not in the plan"),
    "no record": (lambda k: k.table.record_path(("main", "plots", "good", 0)).unlink(), "no such file"),
    "no row": (lambda k: k.table.path.write_text(",".join(COLUMNS) + "\n"), "a record without a row"),
    "other columns": (lambda k: k.table.path.write_text("model,oa\n"), "its columns are"),
}


def test_a_kept_record_names_no_folder_of_this_machine(kitchen, in_process, monkeypatch):
    given = "/here/bin/m3amba train /here/configs/good.py --work-dir /here/runs"
    monkeypatch.setattr("sys.argv", given.split())
    kitchen.classifier("good", "ShrinkageLDA")
    main(kitchen.arguments("--only", "main", "--seeds", "0"))
    record = json.loads(kitchen.table.record_path(("main", "plots", "good", 0)).read_text())
    assert record["command"] == "m3amba train configs/good.py"


@pytest.mark.parametrize("case", TAMPERED)
def test_a_table_or_record_edited_by_hand_is_refused(kitchen, in_process, case):
    kitchen.classifier("good", "ShrinkageLDA")
    main(kitchen.arguments("--only", "main", "--seeds", "0"))
    page_of(kitchen)
    change, reason = TAMPERED[case]
    change(kitchen)
    with pytest.raises(InputError, match=reason):
        main(kitchen.arguments("--page", "page.md"))


def test_a_damaged_record_fails_its_run_and_the_others_go_on(kitchen, in_process, monkeypatch):
    kitchen.classifier("good", "ShrinkageLDA")
    kitchen.classifier("other", "ShrinkageLDA")

    def build_damaged(*arguments, **options):
        record = build_record(*arguments, **options)
        if Path(arguments[2].filename).name.startswith("good"):
            del record["threads"]
        return record

    monkeypatch.setattr("m3amba_zoo.cli.classifier_run.build_record", build_damaged)
    assert main(kitchen.arguments("--only", "main", "--seeds", "0")) == 1
    rows = kitchen.table.rows()
    found = {model: rows["main", "plots", model, 0]["status"] for model in ("good", "other")}
    assert found == {"good": "failed", "other": "done"}
    assert rows["main", "plots", "good", 0]["reason"].endswith("the record lacks 'threads'")


def test_a_stand_in_is_not_taken_for_the_scene_and_simulated_is_said(kitchen, in_process):
    source = "dict(type='fake_plots', simulated=True)"
    kitchen.classifier("good", "ShrinkageLDA", source=source)
    kitchen.classifier("good", "ShrinkageLDA", "simulated_plots", source=source)
    text = kitchen.plan_path.read_text()
    kitchen.plan_path.write_text(text.replace('title="Simulated plots"', 'title="Houston 2013"'))
    main(kitchen.arguments("--only", "main", "--seeds", "0"))
    statuses = {key[1]: row["status"] for key, row in kitchen.table.rows().items()}
    assert statuses == {"plots": "no data here", "simulated_plots": "done"}
    page = page_of(kitchen)
    assert "### Houston 2013 (simulated)" in page
    assert "The plan is `plan.py`. `cards/leaderboard.csv` has one row" in page


REFUSED = {
    "another config": (lambda r: r.update(config_sha256="0" * 64), "of another config or options"),
    "another seed": (lambda r: r.update(seed=3), "the record has seed 3"),
    "another part": (lambda r: r["split"].update(part="val"), "scores the val part"),
    "another test part": (lambda r: r["split"].update(test_sha256="e" * 64), "test part is eeeeeeee"),
    "another split": (lambda r: r["split"].update(sha256="f" * 64), "the record's split is ffffffff"),
    "more leaks": (lambda r: r["split"].update(leaked_pixels=1), "1 test pixels lie in training windows"),
    "no split": (lambda r: r.pop("split"), "the record lacks 'split'"),
    "fewer pixels": (lambda r: r["split"]["pixels"].update(test=9999), "but the split has 9999 test pixels"),
    "no accuracy": (lambda r: r["per_class"][0].pop("accuracy"), "the record lacks 'accuracy'"),
}


def test_a_record_that_is_not_of_the_run_is_refused(kitchen, in_process):
    kitchen.classifier("good", "ShrinkageLDA")
    main(kitchen.arguments("--only", "main", "--seeds", "0"))
    run = next(run for run in kitchen.plan.runs() if run.seed == 0)
    record = json.loads(Path("runs", run.place, "metrics.json").read_text())
    sha256 = record["split"]["sha256"]
    run = replace(run, test_sha256=record["split"]["test_sha256"])
    check_record(record, run, sha256)
    for change, reason in REFUSED.values():
        changed = json.loads(json.dumps(record))
        change(changed)
        with pytest.raises(InputError, match=reason):
            check_record(changed, run, sha256)
