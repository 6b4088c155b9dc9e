"""Models by name: found, compared with the index or their own hash, built."""

import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import hostile_server
import pytest
import torch
from published import BARE, NAME, OTHER, publish
from safetensors.torch import save

import m3amba_zoo
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import index, resolve
from m3amba_zoo.hub.index import index_text
from m3amba_zoo.hub.resolve import locate
from m3amba_zoo.registry import MODELS
from m3amba_zoo.transfer import open_source

CONFIG = """
model = dict(type='M3amba', in_channels=dict(hsi=3), num_classes=2, embed_dim=16, window=8,
             adapter=dict(type='LinearAdapter'), neck=dict(type='CrossMamba', depth=1, d_state=4))
"""


def _model():
    space: dict = {}
    exec(CONFIG, space)
    return MODELS.build(space["model"])


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A card of one's own, which no index lists; returns its folder and the weights' model."""
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path))
    model = _model()
    contents = {"config.py": CONFIG.encode(), "README.md": b"# mine", "weights": save(model.state_dict())}
    (tmp_path / NAME).mkdir()
    for path, content in publish(NAME, contents)[1].items():
        (tmp_path / NAME / path).write_bytes(content)
    return tmp_path / NAME, model


def test_a_card_is_listed_and_its_model_built(card):
    folder, model = card
    assert folder.name in m3amba_zoo.list_models()
    x = {"hsi": torch.randn(1, 3, 8, 8)}
    loaded = m3amba_zoo.get_model(folder.name)
    torch.testing.assert_close(loaded(x)["fused"], model.eval()(x)["fused"])
    fresh = m3amba_zoo.get_model(folder.name, pretrained=False)
    assert not torch.equal(fresh(x)["fused"], loaded(x)["fused"])
    assert m3amba_zoo.Predictor(folder.name).in_channels == {"hsi": 3}


def other_name(weights):
    weights.rename(weights.with_name(weights.name.replace("here", "there")))


def pickled(weights):
    weights.unlink()
    content = b"cbuiltins\nexit\n(tR."  # unpickling it calls exit()
    digits = hashlib.sha256(content).hexdigest()[:8]
    weights.with_name(f"{NAME}-{digits}.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda w: w.write_bytes(w.read_bytes()[:-1] + b"!"), rf"should be named {NAME}-.{{8}}\.safetensors"),
        (lambda w: w.rename(w.with_name("weights.safetensors")), r"weights\.safetensors: .* should be named"),
        (other_name, f"there-.*should be named {NAME}-"),
        (lambda w: w.unlink(), "no weights"),
        (lambda w: w.with_name("other.safetensors").touch(), f"expected one {NAME}-"),
        (lambda w: w.with_name("last_checkpoint").touch(), "holds .*last_checkpoint, expected one"),
        (lambda w: w.with_name("weights.json").touch(), "holds .*weights.json, expected one"),
        (pickled, "not a safetensors file"),
    ],
)
def test_a_card_of_one_s_own_is_refused_if_its_weights_are_not_those_it_names(card, spoil, says):
    spoil(next(card[0].glob("*.safetensors")))
    with pytest.raises(InputError, match=says):
        m3amba_zoo.get_model(card[0].name)
    assert m3amba_zoo.get_model(card[0].name, pretrained=False)
    (card[0] / "README.md").unlink()
    with pytest.raises(InputError, match=r"has neither README\.md nor metrics\.json"):
        m3amba_zoo.get_model(card[0].name, pretrained=False)


def test_a_card_may_inherit_from_an_installed_package(card, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkg_resources", None)  # as where it has vanished
    inherit = "_base_ = ['mmpretrain::_base_/default_runtime.py']"
    (card[0] / "config.py").write_text(inherit + CONFIG)
    assert m3amba_zoo.get_model(card[0].name)


def test_unknown_names_get_close_ones_and_paths_are_no_names(card):
    with pytest.raises(InputError, match="did you mean 'm3amba-t_here'"):
        m3amba_zoo.get_model("m3amba-t_her")
    with pytest.raises(InputError, match="no such folder; a published model is given by its name alone"):
        m3amba_zoo.get_model("../m3amba-t_here")
    assert m3amba_zoo.get_model(str(card[0]))


def test_places_are_looked_at_in_order(published, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    published.write(mirror)
    monkeypatch.setenv("M3AMBA_MIRRORS", f"{tmp_path / 'none'}, file://{mirror}")
    cached = published.fetch()
    assert cached.parent == published.cache
    checkout = published.write(tmp_path / "checkout")
    assert published.fetch() == checkout
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(InputError, match=r"\$M3AMBA_WEIGHTS is .*weights, expected a folder of cards"):
        published.fetch()
    named = published.write(tmp_path / "weights")
    assert published.fetch() == named
    next(named.glob("*.safetensors")).unlink()  # large weights need not be in git
    assert published.fetch() == checkout
    assert published.fetch(pretrained=False) == named


@pytest.mark.parametrize("place", ["checkout", "weights"])
@pytest.mark.parametrize("altered", ["config.py", "metrics.json", "README.md", "weights"])
def test_a_file_that_was_altered_is_refused_before_the_config_is_executed(
    published, tmp_path, monkeypatch, place, altered
):
    folder = published.write(tmp_path / place)
    monkeypatch.setenv("M3AMBA_WEIGHTS", str(tmp_path / "weights") if place == "weights" else "")
    path = folder / (published.models[NAME].weights if altered == "weights" else altered)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(InputError, match=f"{path.name}: its sha256 begins with"):
        m3amba_zoo.get_model(NAME)
    path.write_bytes(content + b"?")
    with pytest.raises(InputError, match=f"{path.name}: has .* bytes, expected"):
        m3amba_zoo.get_model(NAME)
    assert not published.marker.exists()


def test_a_folder_here_does_not_take_a_published_name(published, tmp_path, monkeypatch):
    folder = published.write(tmp_path / "here")
    impostor = tmp_path / "impostor executed"
    (folder / "config.py").write_text(f"open({str(impostor)!r}, 'w').close()")
    published.write(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "here")
    assert locate(NAME).folder == tmp_path / "checkout" / NAME
    for take in (m3amba_zoo.Predictor, open_source):
        with suppress(Exception):  # what is published here builds no model
            take(NAME)
    assert published.marker.exists()
    assert not impostor.exists()
    assert locate(f"./{NAME}").folder == Path(NAME)


@pytest.mark.parametrize("name", ["last_checkpoint", "weights.json", "other.safetensors", "other.py"])
def test_a_file_that_the_loader_might_take_instead_is_refused(published, tmp_path, name):
    folder = published.write(tmp_path / "checkout")
    (folder / name).write_text("")
    with pytest.raises(InputError, match=f"{name}: does not belong to the published model"):
        m3amba_zoo.get_model(NAME)
    assert not published.marker.exists()


def test_a_damaged_card_in_the_cache_is_fetched_anew(published, tmp_path, capfd):
    published.write(tmp_path / "mirror")
    folder = published.fetch(str(tmp_path / "mirror"))
    (folder / "config.py").write_text("exit()")
    with pytest.raises(InputError, match="no mirror is named"):
        published.fetch()
    assert published.fetch(str(tmp_path / "mirror")) == folder
    assert (folder / "config.py").read_bytes() == published.files[f"/{NAME}/config.py"]
    assert "config.py: has 6 bytes" in capfd.readouterr().err


def test_an_index_cannot_name_a_file_outside_the_card(published):
    content = json.loads(index.PACKAGE_INDEX.read_text())
    content["models"][NAME]["files"]["../evil.py"] = {"size": 4, "sha256": "0" * 64}
    index.PACKAGE_INDEX.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"names the file '\.\./evil\.py', expected a plain name"):
        published.fetch("http://127.0.0.1:9")


def test_a_model_without_weights_gives_the_reason(published, tmp_path):
    published.write(tmp_path / "mirror", BARE)
    assert BARE in m3amba_zoo.list_models()
    with pytest.raises(InputError, match="published without weights: the scene may not be redistributed"):
        m3amba_zoo.get_model(BARE)
    assert published.fetch(str(tmp_path / "mirror"), name=BARE, pretrained=False).name.startswith(BARE)


OFFLINE = """
import sys

def no_sockets(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"opened a socket: {event}")

sys.addaudithook(no_sockets)
from pathlib import Path
from m3amba_zoo.errors import InputError
from m3amba_zoo.hub import index, resolve

index.PACKAGE_INDEX, resolve.CHECKOUT_CARDS = Path(sys.argv[1]), Path("no checkout")
print(resolve.find_card(sys.argv[2]))
try:
    resolve.find_card(sys.argv[3])
except InputError as error:
    print(error)
"""


def test_offline_no_socket_is_opened(published, tmp_path, monkeypatch):
    published.write(tmp_path / "stick")
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    mirrors = f"http://user:secret@127.0.0.1:9 {tmp_path / 'stick'}"
    monkeypatch.setenv("M3AMBA_MIRRORS", mirrors)
    arguments = [sys.executable, "-c", OFFLINE, str(index.PACKAGE_INDEX), NAME, OTHER]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    fetched, refused = done.stdout.splitlines()
    assert Path(fetched).parent == published.cache
    assert refused.startswith(f"model '{OTHER}' could not be fetched: {tmp_path / 'stick' / OTHER}")
    monkeypatch.setenv("M3AMBA_MIRRORS", "http://user:secret@127.0.0.1:9")
    with pytest.raises(InputError, match=r"M3AMBA_OFFLINE=1 forbids asking http://127\.0\.0\.1:9$"):
        published.fetch(name=OTHER)


def test_a_published_model_is_built_from_a_fresh_install(published, monkeypatch):
    model = _model().eval()
    contents = {"config.py": CONFIG.encode(), "weights": save(model.state_dict())}
    entry, files = publish("m3amba-t_toy", contents)
    index.PACKAGE_INDEX.write_text(index_text({entry.name: entry}))
    with hostile_server.serve({f"/{entry.name}/{path}": c for path, c in files.items()}) as server:
        monkeypatch.setenv("M3AMBA_MIRRORS", server.url)
        loaded = m3amba_zoo.get_model("m3amba-t_toy", pretrained=True)
        for name in ("._config.py", f"._{entry.weights}"):  # as macOS leaves on foreign disks
            (resolve.find_card("m3amba-t_toy") / name).write_bytes(b"")
        assert m3amba_zoo.Predictor("m3amba-t_toy").in_channels == {"hsi": 3}
    x = {"hsi": torch.randn(1, 3, 8, 8)}
    torch.testing.assert_close(loaded(x)["fused"], model(x)["fused"])


def test_a_card_that_is_swapped_after_its_hash_was_compared_is_refused(published, tmp_path, monkeypatch):
    """What a local writer puts there between the comparison and the use is neither executed nor loaded."""
    folder = published.write(tmp_path / "checkout")
    compare = resolve.verify_card

    def compare_and_swap(*arguments):
        compare(*arguments)
        config = folder / "config.py"
        config.write_bytes(b"#" * (config.stat().st_size - 1) + b"\n")

    monkeypatch.setattr(resolve, "verify_card", compare_and_swap)
    with pytest.raises(InputError, match=r"config\.py: its sha256 begins with .* expected"):
        m3amba_zoo.get_model(NAME)
    with pytest.raises(InputError, match=r"config\.py: its sha256"):
        m3amba_zoo.Predictor(NAME)
    with pytest.raises(InputError, match=r"config\.py: its sha256"):
        open_source(NAME)
    assert not published.marker.exists()
