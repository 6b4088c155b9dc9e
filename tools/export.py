"""Export a trained model: ``python tools/export.py MODEL --to onnx|torch [--out FILE]``."""

from m3amba_zoo.cli.main import run

if __name__ == "__main__":  # a data worker that is started anew imports this file
    run("m3amba_zoo.cli.export")
