"""Make and audit splits: ``python tools/split.py make|audit SOURCE --split NAME``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.split")
