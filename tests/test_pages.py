"""The pages of docs/: they build without a warning, ask no server, and their commands and names exist."""

import argparse
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import m3amba_zoo

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BASH = re.compile(r"```bash\n(.*?)```", re.S)
MENTIONED = re.compile(r"`(m3amba [a-z][^`]+)`")
WITH_ACTIONS = ("new", "split", "download")  # commands whose first word is one
FETCHED = re.compile(r'<(?:script|img|source|iframe)[^>]*\ssrc="(https?:)?//|<link[^>]*\shref="(https?:)?//')


def test_the_site_builds_strictly_and_asks_no_server(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    build = ["build", "--strict", "-q", "-f", str(DOCS / "site/mkdocs.yml"), "-d", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", *build], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {page: page.read_text() for page in (tmp_path / "site").rglob("*.html")}
    assert len(pages) > len(PAGES)
    assert not [page for page, text in pages.items() if FETCHED.search(text)]
    reference = pages[tmp_path / "site/api/index.html"]
    assert "selective_scan" in reference
    assert "(b, d, L)" in reference, "docstrings are on the page"


def test_the_reference_has_every_public_name():
    page = (DOCS / "api.md").read_text()
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)", page, re.M)}
    assert set(m3amba_zoo.__all__) - {"__version__"} <= named


class ParsedError(Exception):
    """Raised in place of running a command whose options are accepted."""


def commands():
    """Command lines of the pages' blocks."""
    for page in PAGES:
        for line in "".join(BASH.findall(page.read_text())).replace("\\\n", " ").splitlines():
            if line.startswith("m3amba "):
                yield pytest.param(re.split(r" (?:&&|\|) ", line)[0], id=f"{page.stem}: {line}")


def mentions():
    """Commands with options in the pages' sentences, by command and its action; some lack what is needed."""
    found: dict[tuple[str, ...], set[str]] = {}
    for page in PAGES:
        for line in MENTIONED.findall(page.read_text()):
            _, command, *words = line.split()
            action = words[:1] if command in WITH_ACTIONS else []
            options = found.setdefault((command, *action), set())
            options |= {word.partition("=")[0] for word in words if word.startswith("--")}
    return [pytest.param(*found, id=" ".join(found[0])) for found in sorted(found.items())]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_pages_is_accepted(line, monkeypatch, capsys):
    parse = argparse.ArgumentParser.parse_args

    def parsed(self, *arguments):
        parse(self, *arguments)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    _, command, *words = shlex.split(line, comments=True)
    try:
        with pytest.raises(ParsedError):
            import_module(f"m3amba_zoo.cli.{command}").main(words)
    except SystemExit:
        pytest.fail(capsys.readouterr().err)


@pytest.mark.parametrize(("command", "options"), mentions())
def test_every_option_that_a_sentence_mentions_is_one_of_the_command(command, options, capsys):
    with pytest.raises(SystemExit):
        import_module(f"m3amba_zoo.cli.{command[0]}").main([*command[1:], "--help"])
    assert options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out))
