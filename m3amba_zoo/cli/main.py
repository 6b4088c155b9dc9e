"""The console script ``m3amba COMMAND``, and how every command ends: exit codes and one-sentence errors.

Nothing heavy is imported here, so that ``-h`` answers at once.
"""

from __future__ import annotations

import ast
import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from m3amba_zoo.errors import InputError
from m3amba_zoo.system.memory import keep_freed_memory

COMMANDS = "m3amba_zoo.cli"
USAGE_ERROR = 2
INTERRUPTED = 130
GO_ON = {
    "train": "; add --resume to the command to go on",
    "download": "; the same command goes on where this one stopped",
    "leaderboard": "; the same command goes on where this one stopped",
}


def run(module: str) -> NoReturn:
    """Run the ``main()`` of a command's module, such as ``m3amba_zoo.cli.train``, and exit.

    Exit codes: what ``main`` returns; 2 with one sentence on stderr for bad input and for files that cannot
    be read or written; 130 after an interrupt.
    """
    sys.exit(_exit_code(module))


def main() -> NoReturn:
    """Run ``m3amba COMMAND ...``."""
    commands = _commands()
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(commands))
        sys.exit(0 if arguments else USAGE_ERROR)
    command = arguments[0]
    if command not in commands:
        print(f"error: no command '{command}'; expected one of {', '.join(commands)}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    sys.argv = [f"m3amba {command}", *arguments[1:]]
    run(f"{COMMANDS}.{command}")


def _exit_code(module: str) -> int:
    logging.raiseExceptions = False  # else a log on a full disk prints a traceback for every line
    keep_freed_memory()
    try:
        return import_module(module).main() or 0
    except InputError as error:
        message = str(error)
    except OSError as error:
        if error.strerror is None:  # not the operating system's: a defect of ours, which needs its traceback
            raise
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    except KeyboardInterrupt:
        print(f"interrupted{GO_ON.get(module.rpartition('.')[2], '')}", file=sys.stderr)
        return INTERRUPTED
    print(f"error: {message}", file=sys.stderr)
    return USAGE_ERROR


def _commands() -> dict[str, str]:
    """Return the modules of ``m3amba_zoo.cli`` that define ``main``, with their docstrings' first lines."""
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
        ["usage: m3amba COMMAND ...", "", *lines, "", "m3amba COMMAND -h lists a command's options"]
    )


if __name__ == "__main__":
    main()
