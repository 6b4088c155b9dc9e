"""Give damaged and hostile files to every reader: ``python tools/fuzz.py --reader NAME --inputs N``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the workshop is not installed

from m3amba_zoo.cli.main import run

run("workshop.cli.fuzz")
