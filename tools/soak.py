"""Kill and stop a training many times: ``python tools/soak.py CONFIG --kills 25 --signals 20``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the workshop is not installed

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("workshop.cli.soak")
