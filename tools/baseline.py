"""Fit and score a classical baseline: ``python tools/baseline.py CONFIG --model random_forest``."""

from m3amba_zoo.cli.main import run

run("baseline")
