"""Convert the authors' checkpoint: ``python tools/convert_reference.py CHECKPOINT.pth --out DIR``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.convert_reference")
