"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.test")
