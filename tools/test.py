"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("m3amba_zoo.cli.test")
