"""The choice of settings: on validation pixels alone, as many tries for each model."""

from pathlib import Path

import numpy as np
import pytest
from small_plan import NETWORK

from m3amba_zoo.errors import InputError
from workshop.cli.leaderboard import main
from workshop.leaderboard.plan import read_plan
from workshop.leaderboard.tuning import TuningTable, settings

REPOSITORY = Path(__file__).parents[3]
TOGETHER = ("averaging.type", "windows_per_epoch", "batch_size")  # come with the momentum and the window


def test_tuning_reads_validation_pixels_alone_and_its_choice_is_used_and_named(kitchen, in_process, capsys):
    kitchen.add("rated_plots", NETWORK, network=True)
    kitchen.classifier("choosy", "ShrinkageLDA")
    assert main(kitchen.arguments("--only", "main")) == 0
    assert "not run: choosy on plots, because its settings are not chosen yet" in capsys.readouterr().out
    assert kitchen.ran == []
    assert main(kitchen.arguments("--tune", "--jobs", "1")) == 0
    table = TuningTable(Path("cards/tuning.csv"))
    rows = table.rows()
    assert set(rows) == {
        ("plots", m, n, seed) for m in ("rated", "choosy") for n in (0, 1) for seed in (0, 1)
    }
    of_setting = [
        np.mean(
            [float(rows["plots", "choosy", n, seed][s]) for s in ("oa", "aa", "kappa") for seed in (0, 1)]
        )
        for n in (0, 1)
    ]
    assert of_setting[0] != of_setting[1]
    second = rows["plots", "choosy", 1, 0]["options"]
    best = ((), (second,))[int(np.argmax(of_setting))]
    assert table.chosen(kitchen.plan)["plots", "choosy"] == best
    assert len(kitchen.ran) == 8
    main(kitchen.arguments("--tune"))
    assert len(kitchen.ran) == 8

    assert main(kitchen.arguments("--only", "main", "--seeds", "0")) == 0
    record = kitchen.table.record(kitchen.table.rows()["main", "plots", "choosy", 0])
    assert (record["split"]["part"], tuple(record["run"]["tuned"])) == ("test", best)
    tried = {(row["part"], row["test_sha256"]) for row in rows.values()}
    assert tried == {("val", record["split"]["test_sha256"])}, "no pixel of the test part was in a try"

    text = table.path.read_text()
    row = next(line for line in text.splitlines() if line.startswith("plots,choosy,0,0"))
    table.path.write_text(text.replace(row, row.replace(",done,", ",failed,out of memory")))
    assert table.chosen(kitchen.plan)["plots", "choosy"] == (second,), "a setting that failed is not chosen"
    of_choosy = [line for line in text.splitlines() if line.startswith("plots,choosy,")]
    table.path.write_text(
        text.replace("\n".join(of_choosy), "\n".join(of_choosy).replace(",done,", ",failed,"))
    )
    assert ("plots", "choosy") not in table.chosen(kitchen.plan), "every setting failed"
    table.path.write_text(text.replace(row + "\n", ""))
    assert ("plots", "choosy") not in table.chosen(kitchen.plan)
    table.path.write_text(text.replace(rows["plots", "choosy", 0, 0]["config_sha256"], "0" * 64))
    assert ("plots", "choosy") not in table.chosen(kitchen.plan), "a try of another config does not count"
    table.path.write_text(text.replace(",val,", ",test,"))
    with pytest.raises(InputError, match="chosen on validation pixels"):
        main(kitchen.arguments("--page", "page.md"))


def test_settings_are_as_many_for_each_model_and_no_two_dimensions_change_together():
    plan = read_plan(REPOSITORY / "configs/leaderboard.py")
    for dataset in ("idtrees", "terramind", "mmlsv2"):
        drawn = {model: settings(plan, dataset, model) for model in plan.tuning["spaces"]}
        assert {len(set(found)) for found in drawn.values()} == {plan.tuning["settings"]}
        rates = {m: [option for options in drawn[m] for option in options if ".lr=" in option] for m in drawn}
        assert rates["m3amba"] == rates["mft"]
        for choice in plan.tuning["parts"]["network"]["rate"]:
            assert rates["m3amba"].count(choice) in (1, 2), "5 draws of 3 choices"
        for model, (_, *others) in drawn.items():
            values = [dict(option.split("=") for option in options) for options in others]
            keys = sorted({key for options in values for key in options if not key.endswith(TOGETHER)})
            columns = [[options.get(key, "") for options in values] for key in keys]
            labels = {tuple(column.index(value) for value in column) for column in columns}
            assert len(labels) == len(columns), (dataset, model)
