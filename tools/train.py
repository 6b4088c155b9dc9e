"""Train a model from a config, then test it: ``python tools/train.py CONFIG``."""

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("m3amba_zoo.cli.train")
