"""Uploads a card to a repository on a Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.system import OFFLINE_VARIABLE, is_offline
from workshop.cards import check_card

TOKEN_VARIABLE = "HF_TOKEN"  # huggingface_hub's
MEANINGS = {
    401: f"no valid token was given: set {TOKEN_VARIABLE} to one that may write",
    403: f"the token in {TOKEN_VARIABLE} may not write there",
    404: "there is no such repository or endpoint",
}


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
