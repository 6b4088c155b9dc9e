"""The console script ``m3amba COMMAND``, with the exit codes and error messages of every command.

Nothing heavy is imported here, so that ``-h`` answers at once.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from m3amba_zoo.errors import InputError
from m3amba_zoo.system import keep_freed_memory

COMMANDS = "m3amba_zoo.cli"
USAGE_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
CONTINUING = ("download", "leaderboard", "predict")  # commands that skip what is done already


def run(module: str) -> NoReturn:
    """Run the ``main()`` of a command's module, such as ``m3amba_zoo.cli.train``, and exit.

    The exit code is that of ``main``, 2 for bad input and for files that cannot be read or written (with one
    sentence on stderr), 141 if nobody reads the output any more, or 130 after an interrupt. The text of a
    KeyboardInterrupt says how to go on.
    """
    sys.exit(_exit_code(module))


def main() -> NoReturn:
    """Run ``m3amba COMMAND ...``."""
    commands = _commands()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(commands))
        sys.exit(0 if arguments else USAGE_ERROR)
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("m3amba_zoo"))
        sys.exit(0)
    command = arguments[0]
    if command not in commands:
        print(f"error: no command '{command}'; expected one of {', '.join(commands)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.argv = [f"m3amba {command}", *arguments[1:]]
    run(f"{COMMANDS}.{command}")


def _exit_code(module: str) -> int:
    logging.raiseExceptions = False  # else every log line on a full disk prints a traceback
    keep_freed_memory()
    try:
        return import_module(module).main() or 0
    except InputError as error:
        message = str(error)
    except BrokenPipeError:  # the reader of the output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end
        return BROKEN_PIPE
    except OSError as error:
        if error.strerror is None:  # not from the operating system: our own bug, which needs its traceback
            raise
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    except KeyboardInterrupt as interrupt:
        hint = str(interrupt)
        if module.rpartition(".")[2] in CONTINUING:
            hint = "the same command goes on where this one stopped"
        print(f"interrupted; {hint}" if hint else "interrupted", file=sys.stderr)
        return INTERRUPTED
    print(f"error: {message}", file=sys.stderr)
    return USAGE_ERROR


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
