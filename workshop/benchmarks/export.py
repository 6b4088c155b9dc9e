"""Exported models beside this package: windows per CPU second in onnxruntime and in torch."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from m3amba_zoo.export import FORMATS, export_model
from m3amba_zoo.hub import TrainedModel, locate
from m3amba_zoo.system import keep_freed_memory
from workshop.benchmarks.measuring import RUNS, median_seconds
from workshop.benchmarks.section import Section

MODELS = ("m3amba-t_simulated-houston", "m3amba-t_terramind")  # many bands, and few
BATCHES = (1, 4)  # windows at once
Run = Callable[[Mapping[str, Tensor]], np.ndarray]


def measure(models: Sequence[str] = MODELS, batches: Sequence[int] = BATCHES, runs: int = RUNS) -> Section:
    """Measure the whole function, pretreatment included, on random windows; outputs are compared.

    ``largest_difference`` is that of a logit from this package's, relative to the largest logit.

    Args:
        models: names of published models, or folders.
        batches: numbers of windows at once.
        runs: the number of calls whose median is reported.
    """
    keep_freed_memory()  # as the commands do
    section = Section(f"export: windows per CPU second, {torch.get_num_threads()} CPU threads")
    generator = torch.Generator().manual_seed(0)
    for model in models:
        with tempfile.TemporaryDirectory(prefix="m3amba_export_") as folder:
            files = {
                to: export_model(model, to, Path(folder, f"model{FORMATS[to].suffix}")) for to in FORMATS
            }
            versions = _versions(model, files["torch"].path, files["onnx"].path)
        facts = files["onnx"].facts
        side = facts["window"] + 2 * facts["margin"]
        for batch in batches:
            windows = {
                m["name"]: 100 + 10 * torch.randn(batch, m["bands"], side, side, generator=generator)
                for m in facts["modalities"]
            }
            expected = versions["this package"](windows)
            for version, run in versions.items():
                seconds = median_seconds(partial(run, windows), runs, clock=time.process_time)
                difference = np.abs(run(windows) - expected).max() / np.abs(expected).max()
                section.rows.append(
                    {
                        "model": model,
                        "window": facts["window"],
                        "batch": batch,
                        "version": version,
                        "windows_per_cpu_s": batch / seconds,
                        "largest_difference": float(difference),
                    }
                )
    return section


def _versions(model: str, archive: Path, onnx_file: Path) -> dict[str, Run]:
    """Return what turns windows into logits, by version."""
    trained = TrainedModel.from_folder(locate(model).folder).model.eval()
    program = torch.export.load(archive).module()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx_file, options)

    @torch.no_grad()
    def ours(windows: Mapping[str, Tensor]) -> np.ndarray:
        return torch.stack(trained.test_step({"inputs": dict(windows)})).numpy()

    @torch.no_grad()
    def exported(windows: Mapping[str, Tensor]) -> np.ndarray:
        return program(dict(windows))["logits"].numpy()

    def in_onnxruntime(windows: Mapping[str, Tensor]) -> np.ndarray:
        return session.run(["logits"], {m: x.numpy() for m, x in windows.items()})[0]

    return {"this package": ours, "exported, torch": exported, "exported, onnxruntime": in_onnxruntime}
