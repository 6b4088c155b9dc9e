"""Trained models as files for other runtimes: ONNX, or torch without this package."""

from m3amba_zoo.export.exporter import FORMATS, Exported, export_model

__all__ = ["FORMATS", "Exported", "export_model"]
