"""Calls a function in a Python process of its own, whose peak memory nothing else has raised."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


class ProcessFailedError(RuntimeError):
    """The process ended without an answer; the message is what it said last."""


def call(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a module's function there; its arguments and what it returns must be JSON.

    Raises:
        ProcessFailedError: it raised, or the system ended it.
    """
    command = [sys.executable, "-m", __name__, function.__module__, function.__name__]
    done = subprocess.run(command, input=json.dumps(arguments), capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ProcessFailedError(f"a process ended with code {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    module, name = sys.argv[1:]
    print(json.dumps(getattr(import_module(module), name)(**json.load(sys.stdin))))
