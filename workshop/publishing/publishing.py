"""From work dirs to a card, which appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.hub.index import NAME, PACKAGE_INDEX
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.hub.trained_model import README
from m3amba_zoo.system.whole_file import whole_folder
from workshop.cards import build_card, build_catalogue, check_card, new_card
from workshop.publishing.card_files import write_card_files
from workshop.publishing.leak_check import check_splits
from workshop.publishing.runs import TrainedRun, median_run, read_runs


@dataclass(frozen=True)
class Published:
    """What came of publishing.

    Attributes:
        folder: the card.
        runs: the trainings that it stands for, by seed.
        shipped: the one whose weights it has.
        splits_checked: whether the data was here to make the splits again.
        golden: the largest difference from the golden logits by scan backend.
        to_do: why the card is not in the index yet (parts that only a person can write), one sentence each.
    """

    folder: Path
    runs: Sequence[TrainedRun]
    shipped: TrainedRun
    splits_checked: bool
    golden: dict[str, float]
    to_do: Sequence[str]


def publish(work_dirs: Sequence[Path], name: str, cards: Path, replace: bool = False) -> Published:
    """Make a card of trainings of one config over different seeds, with the weights of the median run.

    Args:
        work_dirs: of the trainings.
        name: of the model and its folder.
        cards: the folder of the cards, made where it is not there.
        replace: whether a card of that name may be replaced; what is written by hand in its README.md stays.

    Raises:
        InputError: the trainings break the protocol, or cannot be published; a card of that name exists;
            a file cannot be written. There is no card then, or the one that was there before.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"--name {name}: expected letters, digits, '-', '_' and '.', for example m3amba-t_idtrees"
        )
    target = cards / name
    if target.exists() and not replace:
        raise InputError(
            f"{target}: exists already; --replace publishes it anew and keeps what is written by hand"
        )
    runs = read_runs(work_dirs)
    splits_checked, shipped = check_splits(runs), median_run(runs)
    with whole_folder(target, replace) as folder:
        write_card_files(folder, name, runs, shipped)
        if (target / README).is_file():
            shutil.copyfile(target / README, folder / README)
        else:
            new_card(folder)
        build_card(folder)
        golden = check_golden(folder)
    return Published(target, runs, shipped, splits_checked, golden, _to_do(target))


def _to_do(card: Path) -> list[str]:
    """Enter a card into the index and the table of the cards beside it; return what must be done first."""
    if faults := check_card(card):
        return faults
    here = card.parent.resolve() == CHECKOUT_CARDS
    try:
        build_catalogue(card.parent, PACKAGE_INDEX if here else None)
    except InputError as error:  # of another card: this one is in order
        return [str(error)]
    return []
