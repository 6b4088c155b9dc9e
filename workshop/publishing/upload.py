"""Uploads a card to a repository of a Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.hub.golden import check_golden
from m3amba_zoo.system.offline import OFFLINE_VARIABLE, is_offline
from workshop.cards import check_card

TOKEN_VARIABLE = "HF_TOKEN"  # huggingface_hub's
MEANINGS = {
    401: f"no valid token was given: set {TOKEN_VARIABLE} to one that may write",
    403: f"the token in {TOKEN_VARIABLE} may not write there",
    404: "there is no such repository or endpoint",
}


def check_may_push() -> None:
    """Raise InputError where the environment forbids network connections."""
    if is_offline():
        raise InputError(f"{OFFLINE_VARIABLE}=1 forbids uploading; unset it for --push")


def push(folder: Path, repo_id: str, endpoint: str | None = None) -> str:
    """Upload a card's files in one commit; weights of an earlier version go from the repository.

    The token is huggingface_hub's own: ``HF_TOKEN``, or what its login stored.

    Args:
        folder: of the card.
        repo_id: ``owner/name``; made where it does not exist.
        endpoint: address of the hub; None for huggingface_hub's (``HF_ENDPOINT``).

    Returns:
        The commit's address.

    Raises:
        InputError: the card is not valid, or not the model it says; the upload failed, and the repository's
            files are as before; the environment forbids it.
    """
    check_may_push()
    if endpoint is not None and not endpoint.startswith(("https://", "http://")):
        raise InputError(f"--endpoint {endpoint}: expected http://... or https://...")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such card")
    if faults := check_card(folder):
        raise InputError(f"{folder}: is not uploaded before the card is in order: {faults[0]}")
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
    except Exception as error:  # of its HTTP library, which is another one in each generation
        raise InputError(
            f"{folder} was not uploaded to '{repo_id}' on {api.endpoint}: {_reason(error)}"
        ) from error
    return str(commit.commit_url)


def _is_weights(file: str, name: str) -> bool:
    # the digits tell "a-<8>" from the weights of another model "a-b" in the same repository
    return re.fullmatch(re.escape(name) + r"-[0-9a-f]{8}\.safetensors", file) is not None


def _reason(error: Exception) -> str:
    from huggingface_hub import get_token

    status = getattr(getattr(error, "response", None), "status_code", None)
    meaning = MEANINGS.get(status) or one_line(error)  # type: ignore[arg-type]
    reason = f"{status}, {meaning}" if status else meaning
    token = get_token()
    return reason.replace(token, "***") if token else reason
