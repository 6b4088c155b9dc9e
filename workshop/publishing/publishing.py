"""Makes a card from work dirs, completely or not at all."""

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
from m3amba_zoo.system import whole_folder
from workshop.cards import build_card, build_catalogue, check_card, new_card
from workshop.publishing.card_files import write_card_files
from workshop.publishing.runs import TrainedRun, check_splits, median_run, read_runs


@dataclass(frozen=True)
class Published:
    """The result of publishing.

    Attributes:
        folder: the card's folder.
        runs: its trainings, sorted by seed.
        shipped: the training that gave the weights.
        splits_checked: whether the data was on this machine and the splits were rebuilt.
        golden: the largest difference from the golden logits, by scan backend.
        to_do: why the card is not in the index yet, one sentence each (parts that a person must write).
    """

    folder: Path
    runs: Sequence[TrainedRun]
    shipped: TrainedRun
    splits_checked: bool
    golden: dict[str, float]
    to_do: Sequence[str]


def publish(work_dirs: Sequence[Path], name: str, cards: Path, replace: bool = False) -> Published:
    """Make a card from trainings of one config with different seeds, with the weights of the median run.

    Args:
        work_dirs: the trainings' work dirs.
        name: the name of the model and its folder.
        cards: the folder of the cards, made if absent.
        replace: whether to replace an existing card; the text written by hand in its README.md stays.

    Raises:
        InputError: if the trainings break the protocol or cannot be published, a card of that name exists,
            or a file cannot be written. No card is made or changed then.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"--name {name}: expected letters, digits, '-', '_' and '.', for example m3amba-t_idtrees"
        )
    target = cards / name
    if target.exists() and not replace:
        raise InputError(
            f"{target}: exists already; --replace publishes it again and keeps the text written by hand"
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
    """Enter a card into the index and the table of cards; return what must be done first."""
    if faults := check_card(card):
        return faults
    here = card.parent.resolve() == CHECKOUT_CARDS
    try:
        build_catalogue(card.parent, PACKAGE_INDEX if here else None)
    except InputError as error:  # of another card, since this one has no faults
        return [str(error)]
    return []
