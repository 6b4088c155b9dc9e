"""Trained models as files for other runtimes: ONNX, or torch without this package."""

from m3amba_zoo.export.exporter import Exported, export_model
from m3amba_zoo.export.program import FORMATS

__all__ = ["FORMATS", "Exported", "export_model"]
