"""The command that started this process, and the one that goes on where it has stopped."""

from __future__ import annotations

import shlex
import sys

RESUME, OVERWRITE = "--resume", "--overwrite"


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
