"""Write a simulated stand-in for a standard scene: ``python tools/simulate.py SOURCE [--to DIR]``."""

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("m3amba_zoo.cli.simulate")
