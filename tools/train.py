"""Train a model from a config, then test it: ``python tools/train.py CONFIG``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.train")
