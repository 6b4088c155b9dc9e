"""Write a simulated stand-in for a standard scene: ``python tools/simulate.py SOURCE [--to DIR]``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.simulate")
