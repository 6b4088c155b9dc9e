"""Calls a function in a new Python process, whose peak memory nothing else has raised."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from workshop.benchmarks.section import NOT_MEASURED, Row


class ProcessFailedError(RuntimeError):
    """The process ended without an answer; the message is the last line it printed."""


def call(function: Callable[..., Any], time_limit: float | None = None, **arguments: Any) -> Any:
    """Call a module's function in a new process; its arguments and its result must be JSON.

    Args:
        function: what to call.
        time_limit: seconds, or None for no limit.
        **arguments: of the function.

    Raises:
        ProcessFailedError: if the function raises, takes longer, or the system ends the process.
    """
    command = [sys.executable, "-m", __name__, function.__module__, function.__name__]
    try:
        done = subprocess.run(
            command, input=json.dumps(arguments), capture_output=True, text=True, timeout=time_limit
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessFailedError(f"it took longer than {time_limit:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ProcessFailedError(f"a process ended with code {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def figures(function: Callable[..., Row], time_limit: float | None = None, **arguments: Any) -> Row:
    """Return the figures that :func:`call` gives, or why there are none."""
    try:
        return call(function, time_limit, **arguments)
    except ProcessFailedError as error:
        return {NOT_MEASURED: str(error)}


if __name__ == "__main__":
    module, name = sys.argv[1:]
    try:
        answer = getattr(import_module(module), name)(**json.load(sys.stdin))
    except Exception as error:
        traceback.print_exc()
        said = str(error).strip().partition("\n\n")[0]  # some exceptions go on with advice
        sys.exit(f"{type(error).__name__}: {' '.join(said.split())}")
    print(json.dumps(answer))
