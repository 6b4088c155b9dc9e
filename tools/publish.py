"""Publish trained models as a card with weights: ``python tools/publish.py WORK_DIR... --name NAME``."""

from m3amba_zoo.cli.main import run

run("publish")
