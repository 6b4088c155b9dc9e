"""The table of what fusion adds."""

from types import SimpleNamespace

from m3amba_zoo.leaderboard.fusion import fusion
from m3amba_zoo.leaderboard.summary import Entry


def entry(model, modalities, oa, base="net"):
    runs = [SimpleNamespace(seed=seed, base=base) for seed in range(3)]
    records = {
        seed: {"oa": value, "aa": value / 2, "model": {"modalities": modalities}}
        for seed, value in oa.items()
    }
    return Entry(model, runs, {}, records)


def test_fusion_is_measured_against_the_better_modality_on_the_seeds_of_both():
    whole = entry("net", ["hsi", "sar"], {0: 0.70, 1: 0.80, 2: 0.90})
    alone = [
        entry("net_sar", ["sar"], {0: 0.2, 1: 0.3}),
        entry("net_hsi", ["hsi"], {0: 0.69, 1: 0.77}),
        entry("net_concat", ["hsi", "sar"], {0: 0.99}),  # another variant, of all modalities
        entry("other_hsi", ["hsi"], {0: 0.99}, base="other"),
        entry("net_lidar", [], {}),  # not run yet
    ]
    head, line = fusion([whole, entry("one", ["hsi"], {0: 0.5}, base="one")], alone)
    assert head[1:4] == ["all, OA", "hsi alone, OA", "sar alone, OA"]
    assert line == ["net", "80.0", "73.0", "25.0", "+2.0", "+1.0", "2 of 3"]
    assert fusion([whole], alone[2:]) == []
