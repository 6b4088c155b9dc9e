"""Run the comparison of all models: ``python tools/leaderboard.py``."""

from m3amba_zoo.cli.main import run

run("leaderboard")
