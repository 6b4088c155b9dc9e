"""What holds for every command: an example that parses, exit codes, no codes of terminals in a pipe."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
from rich import get_console

from m3amba_zoo.cli import main as script
from m3amba_zoo.cli.command_parser import CommandParser

COMMANDS = script._commands()
EXAMPLE = re.compile(r"^  (m3amba .*)$", re.MULTILINE)
LISTINGS = (["configs"], ["configs", "lda"], ["encoder"], ["download", "list"], ["parts"])


def call(name, *arguments):
    return import_module(f"m3amba_zoo.cli.{name}").main(list(arguments))


class ParsedError(Exception):
    """Ends a command once its options are read."""


def help_of(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        call(*words, "--help")
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_parses_and_the_exit_codes(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = help_of(capsys, name)
    assert "exit codes: 0 " in " ".join(shown.split())
    assert "\x1b" not in shown
    examples = EXAMPLE.findall(shown)
    assert examples
    parse = CommandParser.parse_args

    def parse_and_end(*arguments):
        raise ParsedError(parse(*arguments))

    monkeypatch.setattr(CommandParser, "parse_args", parse_and_end)
    for example in examples:
        _, command, *words = shlex.split(example)
        assert command == name
        with pytest.raises(ParsedError):
            call(name, *words)


OUTPUTS = {"--out", "--to", "--as-rasters", "--overwrite"}
"""Options of what a command writes."""


def parsers_of(parser):
    """Return the parsers of a command: its own, or those of its subcommands."""
    below = [action.choices.values() for action in parser._actions if action.nargs == argparse.PARSER]
    return [found for several in below for one in several for found in parsers_of(one)] or [parser]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_writes_files_can_be_quiet(name, monkeypatch):
    def end(parser, *arguments):
        raise ParsedError(parser)

    monkeypatch.setattr(CommandParser, "parse_args", end)
    with pytest.raises(ParsedError) as ended:
        call(name)
    for parser in parsers_of(ended.value.args[0]):
        options = parser._option_string_actions.keys()
        assert not OUTPUTS & options or "--quiet" in options, parser.prog


def actions():
    """Return the name of every command with actions, such as ``download``, and each action's parser."""
    for name in COMMANDS:
        parser = getattr(import_module(f"m3amba_zoo.cli.{name}"), "_parser", CommandParser)()
        for part in parser._actions:
            if isinstance(part, argparse._SubParsersAction):
                yield from ((f"{name} {action}", of) for action, of in part.choices.items())


def test_every_action_says_what_it_does_with_an_example():
    found = dict(actions())
    assert {"download get", "split audit", "new scene"} <= set(found)
    for name, parser in found.items():
        assert parser.description, name
        assert f"  m3amba {name} " in f"{parser.epilog.replace(chr(10), ' ')} ", name


def test_a_default_of_several_values_is_shown_as_it_is_typed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "(default: false-colour reference prediction errors)" in " ".join(
        help_of(capsys, "figure").split()
    )


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_listings_have_no_codes_of_terminals_in_a_pipe_and_come_as_json(words, capsys):
    assert call(*words) == 0
    plain = capsys.readouterr().out
    assert plain.strip()
    assert "\x1b" not in plain
    assert words == ["configs", "lda"] or "`" not in plain
    assert call(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)


def test_quiet_prints_nothing_and_holds_for_one_command(tmp_path, capsys):
    to = str(tmp_path / "scene")
    assert (
        call("simulate", "augsburg", "--as-rasters", to, "--size", "40", "40", "--bands", "4", "--quiet") == 0
    )
    assert capsys.readouterr() == ("", "")
    assert call("download", "list") == 0
    assert capsys.readouterr().out
    assert not get_console().quiet


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "m3amba_zoo", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_package_runs_as_a_module_and_says_its_version():
    from m3amba_zoo import __version__

    assert run("--version").stdout.strip() == __version__
    refused = run("convert-referenz")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: no command 'convert-referenz'; expected one of")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("m3amba tra", {"train"}),
        ("m3amba completion ", {"bash", "zsh", "fish"}),
        ("m3amba configs --d", {"--data"}),
    ],
)
def test_shells_complete_commands_and_their_options(line, offered, tmp_path):
    answers = tmp_path / "answers"  # in place of the shell's file descriptor 8
    variables = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    run(**variables, _ARGCOMPLETE_STDOUT_FILENAME=str(answers), _ARGCOMPLETE_IFS="\n")
    found = {word.strip() for word in answers.read_text().split("\n")}
    assert offered <= found
    assert len(found - {"-h", "--help", ""}) < 5
