"""Fetch published models, list and verify them: ``python tools/download.py get NAME``."""

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("m3amba_zoo.cli.download")
