"""The console script ``m3amba COMMAND``, with the exit codes and error messages of every command.

Nothing heavy is imported here, so that ``-h`` answers at once.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from m3amba_zoo import stopping
from m3amba_zoo.cli.command_parser import COMPLETING, own_command
from m3amba_zoo.errors import InputError
from m3amba_zoo.memory import memory_fault
from m3amba_zoo.system import keep_freed_memory

COMMANDS = "m3amba_zoo.cli"
USAGE_ERROR = 2
BY_SIGNAL = 128  # and the signal's number, as shells have it
BROKEN_PIPE = 141
CONTINUING = ("download", "leaderboard", "robustness")  # commands that skip what is done already
LONG = ("train", "test", "predict", "leaderboard", "robustness")


def run(module: str) -> NoReturn:
    """Run the ``main()`` of a command's module, such as ``m3amba_zoo.cli.train``, and exit.

    The exit code is that of ``main``, 2 for bad input, for files that cannot be read or written and for lack
    of memory (with one sentence on stderr), 141 if nobody reads the output any more, or 130, 143 and 129
    after SIGINT, SIGTERM and SIGHUP. The text of a KeyboardInterrupt is the command that goes on.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for what the terminal lacks, as stderr has it
    _exit(_exit_code(module))


def main() -> NoReturn:
    """Run ``m3amba COMMAND ...``."""
    commands = _commands()
    arguments = sys.argv[1:]
    if COMPLETING in os.environ:
        arguments = _words_to_complete(commands)
    if not arguments or arguments[0] in ("-h", "--help"):
        _exit(0 if arguments else USAGE_ERROR, f"{_usage(commands)}\n")
    if arguments[0] == "--version":
        from importlib.metadata import version

        _exit(0, f"{version('m3amba_zoo')}\n")
    command = arguments[0].replace("-", "_")
    if command not in commands:
        print(f"error: no command '{arguments[0]}'; expected one of {', '.join(commands)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.argv = [f"m3amba {command}", *arguments[1:]]
    run(f"{COMMANDS}.{command}")


def _words_to_complete(commands: Iterable[str]) -> list[str]:
    """Return the command that a shell has in its line; without one, offer the commands and exit.

    The command's own parser completes what stands behind it (``CommandParser``).
    """
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0"))]
    finished = line.split()[1:] if line[-1:].isspace() else line.split()[1:-1]
    if finished:
        os.environ[COMPLETING] = "2"  # the command's name is no option
        return finished[:1]
    from argparse import ArgumentParser

    import argcomplete

    parser = ArgumentParser()
    parser.add_argument("command", choices=tuple(commands))
    parser.add_argument("--version", action="store_true")
    argcomplete.autocomplete(parser)
    return []


def _exit(code: Any, last: str = "") -> NoReturn:
    """Print a last text and exit; nobody may be there to read what was printed."""
    atexit.register(stopping.ignore)
    try:
        print(last, end="", flush=True)  # Python itself flushes too late for an exit code
    except BrokenPipeError as error:
        code = _failed(error)
    sys.exit(code)


def _exit_code(module: str) -> Any:
    logging.raiseExceptions = False  # else every log line on a full disk prints a traceback
    keep_freed_memory()
    name = module.rpartition(".")[2]
    with stopping.listening() as ignored:
        if ignored and name in LONG:
            print(
                f"{' and '.join(ignored)} will be ignored, as nohup and background jobs have it; "
                f"to stop this: kill -TERM {os.getpid()}",
                file=sys.stderr,
            )
        try:
            return import_module(module).main() or 0
        except SystemExit as error:
            # rich's console makes a SystemExit of a broken pipe
            return BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else error.code
        except BaseException as error:
            number = stopping.number_of(error)
            if number is not None:
                _say_stopped(name, str(error) if isinstance(error, KeyboardInterrupt) else "")
                return BY_SIGNAL + number
            return _failed(error)


def _failed(error: BaseException) -> int:
    """Print one sentence for an error that a user can fix and return the exit code; raise any other."""
    if isinstance(error, BrokenPipeError):  # the reader of the output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end
        return BROKEN_PIPE
    message = str(error)
    if lack := memory_fault(error):
        sys.unraisablehook = lambda _: None  # half-made objects complain when they are removed
        message = lack
    elif isinstance(error, OSError) and error.strerror is not None:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif not isinstance(error, InputError):  # our own bug, which needs its traceback
        raise error
    print(f"error: {message}", file=sys.stderr)
    return USAGE_ERROR


def _say_stopped(command: str, goes_on: str) -> None:
    if command in CONTINUING:
        goes_on = goes_on or own_command()
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"stopped; this goes on: {goes_on}" if goes_on else "stopped", file=sys.stderr)


def _commands() -> dict[str, str]:
    """Return the first docstring line of each module in ``m3amba_zoo.cli`` that defines ``main``, by name."""
    commands = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        if "main" in defined and path.stem != "main":
            commands[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return commands


def _usage(commands: dict[str, str]) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:{width}}  {summary}" for name, summary in commands.items()]
    return "\n".join(
        ["usage: m3amba COMMAND ...", "", *lines, "", "m3amba COMMAND -h shows the options of a command"]
    )


if __name__ == "__main__":
    main()
