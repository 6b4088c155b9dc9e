"""Makes a card from work dirs, completely or not at all, and uploads it to a Hugging Face hub."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.hub.index import NAME, PACKAGE_INDEX
from m3amba_zoo.hub.resolve import CHECKOUT_CARDS
from m3amba_zoo.hub.trained_model import README
from m3amba_zoo.system import OFFLINE_VARIABLE, is_offline, whole_folder
from workshop.cards import build_card, build_catalogue, check_card, new_card
from workshop.publishing.card_files import write_card_files
from workshop.publishing.runs import TrainedRun, check_splits, median_run, read_runs

TOKEN_VARIABLE = "HF_TOKEN"  # huggingface_hub's
MEANINGS = {
    401: f"no valid token was given: set {TOKEN_VARIABLE} to one that may write",
    403: f"the token in {TOKEN_VARIABLE} may not write there",
    404: "there is no such repository or endpoint",
}


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


def check_may_push() -> None:
    """Raise InputError if the environment forbids network connections."""
    if is_offline():
        raise InputError(f"{OFFLINE_VARIABLE}=1 forbids uploading; unset it for --push")


def push(folder: Path, repo_id: str, endpoint: str | None = None) -> str:
    """Upload a card's files in one commit, which also deletes the weights of an earlier version.

    The token is huggingface_hub's: ``HF_TOKEN``, or the one that its login stored.

    Args:
        folder: the card's folder.
        repo_id: ``owner/name``; the repository is made if absent.
        endpoint: the hub's address; None for huggingface_hub's default (``HF_ENDPOINT``).

    Returns:
        The commit's address.

    Raises:
        InputError: if the card has faults, the model does not give the golden logits, the upload fails (the
            repository's files are unchanged then), or the environment forbids it.
    """
    check_may_push()
    if endpoint is not None and not endpoint.startswith(("https://", "http://")):
        raise InputError(f"--endpoint {endpoint}: expected http://... or https://...")
    if not folder.is_dir():
        raise InputError(f"{folder}: this card does not exist")
    if faults := check_card(folder):
        raise InputError(f"{folder}: is not uploaded because the card has faults: {faults[0]}")
    check_golden(folder)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=endpoint and endpoint.rstrip("/"), library_name="m3amba_zoo")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        api.create_repo(repo_id, exist_ok=True)
        names = {path.name for path in files}
        old = [file for file in api.list_repo_files(repo_id) if _is_weights(file, folder.name)]
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(file) for file in old if file not in names),
                *(CommitOperationAdd(path.name, path) for path in files),
            ],
            commit_message=f"Publish {folder.name}",
        )
    except Exception as error:  # its HTTP library differs between versions of huggingface_hub
        raise InputError(
            f"{folder} was not uploaded to '{repo_id}' on {api.endpoint}: {_reason(error)}"
        ) from error
    return str(commit.commit_url)


def _is_weights(file: str, name: str) -> bool:
    # the digits distinguish weights of "a" from those of another model "a-b" in the same repository
    return re.fullmatch(re.escape(name) + r"-[0-9a-f]{8}\.safetensors", file) is not None


def _reason(error: Exception) -> str:
    from huggingface_hub import get_token

    status = getattr(getattr(error, "response", None), "status_code", None)
    meaning = MEANINGS.get(status) or one_line(error)  # type: ignore[arg-type]
    reason = f"{status}, {meaning}" if status else meaning
    token = get_token()
    return reason.replace(token, "***") if token else reason
