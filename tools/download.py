"""Fetch published models, list and verify them: ``python tools/download.py get NAME``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.download")
