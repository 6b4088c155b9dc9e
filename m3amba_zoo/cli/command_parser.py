"""The parser of a command's options: examples and exit codes in the help, ``--quiet``, shells' completion.

Also the command that started this process, and the one that goes on where it has stopped.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from copy import copy
from textwrap import fill
from typing import Any

COMPLETING = "_ARGCOMPLETE"
"""Set by shells that ask for completions; its value is the number of words that come before the options."""
EXIT_CODES = (
    "exit codes: 0 done, 2 bad input (one sentence says what), 130, 143, 129 stopped by SIGINT, SIGTERM, "
    "SIGHUP (docs/commands.md)"
)
RUN_HELP = (  # of the commands that take runs
    "a work dir with a metrics.json, or a published model; NAME=RUN calls it NAME, and runs of one name are "
    "one model over its seeds"
)
RESUME, OVERWRITE = "--resume", "--overwrite"


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows a default of several values as they are typed, and not as Python has them."""

    def _expand_help(self, action: argparse.Action) -> str:
        if isinstance(action.default, (list, tuple)):
            action = copy(action)
            action.default = shlex.join(map(str, action.default))
        return super()._expand_help(action)


class CommandParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose help ends with examples and the exit codes.

    ``parse_args`` answers a shell that asks for completions, and silences the console for ``--quiet``.

    Args:
        examples: command lines that work, such as ``m3amba train m3amba_demo``.
        notes: what the help says behind the examples.
        exit_codes: in place of those of every command.
        kwargs: of ``ArgumentParser``; a description is wrapped to the terminal.
    """

    def __init__(
        self,
        *,
        examples: Sequence[str] = (),
        notes: str = "",
        exit_codes: str = EXIT_CODES,
        **kwargs: Any,
    ) -> None:
        width = max(shutil.get_terminal_size().columns - 2, 20)
        shown = "\n".join(["examples:" if len(examples) > 1 else "example:", *(f"  {e}" for e in examples)])
        parts = [fill(notes, width), shown if examples else "", fill(exit_codes, width)]
        kwargs["epilog"] = "\n\n".join(filter(None, parts))
        if kwargs.get("description"):
            kwargs["description"] = fill(kwargs["description"], width)
        super().__init__(formatter_class=_HelpFormatter, **kwargs)

    def add_quiet(self) -> None:
        """Add ``--quiet``."""
        self.add_argument("--quiet", action="store_true", help="print warnings (to stderr) and errors alone")

    def add_overwrite(self) -> None:
        """Add ``--overwrite``, which ``output.check_new_file`` asks for."""
        self.add_argument(OVERWRITE, action="store_true", help="replace the file if there is one")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the options; under a shell's completion print what fits and exit."""
        if COMPLETING in os.environ:
            import argcomplete

            argcomplete.autocomplete(self)
        parsed = super().parse_args(args, namespace)
        from rich import get_console

        get_console().quiet = getattr(parsed, "quiet", False)
        return parsed


def own_command() -> str:
    """Return the command that started this process, as a shell takes it."""
    return _command(sys.argv[1:])


def resuming_command() -> str:
    """Return the command that goes on with the training that this process has begun."""
    kept: list[str] = []
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument == RESUME:  # maybe with a checkpoint, which is no longer the newest
            following = next(arguments, "")
            kept += [following] if following.startswith("-") else []
        elif argument != OVERWRITE and not argument.startswith(f"{RESUME}="):
            kept.append(argument)
    return _command([*kept, RESUME])


def _command(arguments: list[str]) -> str:
    first = sys.argv[0]
    python = ["python"] if first.endswith(".py") else []
    return " ".join([*python, first, *map(shlex.quote, arguments)])
