"""Make, build and check model cards: ``python tools/card.py new|build|check``."""

from m3amba_zoo.cli.main import run

run("card")
