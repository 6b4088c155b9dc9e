"""Export a trained model: ``python tools/export.py MODEL --to onnx|torch [--out FILE]``."""

from m3amba_zoo.cli.main import run

run("m3amba_zoo.cli.export")
