"""Measure speed and memory on this machine: ``python tools/benchmark.py [--json FILE]``."""

from m3amba_zoo.cli.main import run

run("benchmark")
