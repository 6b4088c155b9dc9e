"""Uploads to a hub: every byte arrives in one commit, or one sentence says why not."""

import shutil
import socket

import pytest
from stand_in_hub import TOKEN, StandInHub
from tiny_runs import NAME, finished_card, train_run

from m3amba_zoo.errors import InputError
from m3amba_zoo.hub.golden import read_golden
from m3amba_zoo.hub.trained_model import GOLDEN
from workshop.cli.publish import main
from workshop.publishing.golden_file import tensor_file

REPO = "owner/tiny"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return finished_card([train_run(0)], tmp_path_factory.mktemp("cards"))


@pytest.fixture
def card(published, tmp_path):
    return shutil.copytree(published, tmp_path / "cards" / NAME)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("M3AMBA_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    # the stand-in does not speak Xet; without it huggingface_hub sends large files by git LFS
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with StandInHub() as running:
        yield running


def push(card, endpoint, repo=REPO):
    return main(["--name", card.name, "--cards", str(card.parent), "--push", repo, "--endpoint", endpoint])


def refusal(card, endpoint, repo=REPO):
    with pytest.raises(InputError) as refused:
        push(card, endpoint, repo)
    message = str(refused.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


@pytest.mark.parametrize("large", [(), (".safetensors", ".png")], ids=["all as text", "large ones by LFS"])
def test_every_file_arrives_in_one_commit(card, hub, large, capsys):
    hub.large = large
    assert push(card, hub.url) == 0
    assert hub.files[REPO] == {path.name: path.read_bytes() for path in card.iterdir()}
    assert bool(hub.stored) == bool(large)
    assert hub.commits == [f"Publish {NAME}"]
    printed = "".join(capsys.readouterr())
    assert f"uploaded: {hub.url}/{REPO}/commit/" in printed
    assert TOKEN not in printed


def test_the_weights_of_an_earlier_version_go_and_other_files_stay(card, hub):
    hub.files[REPO] = {f"{NAME}-00000000.safetensors": b"old", "notes.md": b"kept", "README.md": b"old"}
    push(card, hub.url)
    assert hub.files[REPO].keys() == {"notes.md", *(path.name for path in card.iterdir())}
    assert hub.files[REPO]["README.md"] == (card / "README.md").read_bytes()


@pytest.mark.parametrize(
    ("refuse", "expected"),
    [
        ({"create": 401}, "401, no valid token was given: set HF_TOKEN"),
        ({"create": 403}, "403, the token in HF_TOKEN may not write there"),
        ({"create": 404}, "404, there is no such repository or endpoint"),
        ({"preupload": 404}, "404, there is no such repository"),
        ({"commit": 403}, "403"),
        ({"commit": 500}, "500"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence_and_changes_nothing(card, hub, refuse, expected, monkeypatch):
    monkeypatch.setattr("workshop.publishing.publishing.check_golden", lambda folder: {})  # takes its time
    hub.files[REPO] = {"README.md": b"old"}
    hub.refuse = {f"/{part}": status for part, status in refuse.items()}
    message = refusal(card, hub.url)
    assert expected in message
    assert f"was not uploaded to '{REPO}' on {hub.url}" in message
    assert hub.files[REPO] == {"README.md": b"old"}


def test_a_wrong_token_is_not_printed(card, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another_one")
    message = refusal(card, hub.url)
    assert "401" in message
    assert "hf_another_one" not in message


def test_no_network_is_one_sentence(card, hub):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"  # nobody listens
        assert f"on {endpoint}: Connect" in refusal(card, endpoint)


def test_offline_opens_no_socket(card, hub, monkeypatch):
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    monkeypatch.setattr(socket, "socket", None)
    assert "M3AMBA_OFFLINE=1 forbids uploading" in refusal(card, hub.url)


def test_only_cards_in_order_are_uploaded(card, hub):
    assert "this card does not exist" in refusal(card.with_name("m3amba-t_absent"), hub.url)
    assert "expected http" in refusal(card, "127.0.0.1")
    assert "Repo id" in refusal(card, hub.url, "a/b/c")
    readme = card / "README.md"
    readme.write_text(readme.read_text().replace("written by hand", "TO BE WRITTEN", 1))
    assert "is not uploaded because the card has faults" in refusal(card, hub.url)
    assert not hub.commits


def test_weights_that_do_not_give_the_golden_logits_are_not_uploaded(card, hub):
    golden = read_golden(card / GOLDEN)
    tensors = {**{f"input.{name}": x for name, x in golden.inputs.items()}, "logits": golden.logits + 1}
    (card / GOLDEN).write_bytes(tensor_file(tensors, {"tolerance": f"{golden.tolerance:g}"}))
    assert "this is not the model that was published" in refusal(card, hub.url)
    assert not hub.commits


def test_options_that_make_no_sense_are_refused(card):
    for options, expected in (([], "no WORK_DIR"), (["--endpoint", "http://x"], "needs --push")):
        with pytest.raises(InputError, match=expected):
            main(["--name", NAME, *options, *(["work"] if "--endpoint" in options else [])])
