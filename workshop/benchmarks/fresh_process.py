"""Calls a function in a Python process of its own, whose peak memory nothing else has raised."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any


class ProcessFailedError(RuntimeError):
    """The process ended without an answer; the message is what it said last."""


def call(function: Callable[..., Any], time_limit: float | None = None, **arguments: Any) -> Any:
    """Call a module's function there; its arguments and what it returns must be JSON.

    Args:
        function: what to call.
        time_limit: seconds, or None for any length of time.
        **arguments: of the function.

    Raises:
        ProcessFailedError: it raised, took longer, or the system ended it.
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


if __name__ == "__main__":
    module, name = sys.argv[1:]
    try:
        answer = getattr(import_module(module), name)(**json.load(sys.stdin))
    except Exception as error:
        traceback.print_exc()
        said = str(error).strip().partition("\n\n")[0]  # some exceptions go on with advice
        sys.exit(f"{type(error).__name__}: {' '.join(said.split())}")
    print(json.dumps(answer))
