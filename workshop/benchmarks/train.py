"""A training step of each size: windows a second and peak memory, by precision, plain and in two other ways.

On a GPU where there is one, else on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from m3amba_zoo.registry import MODELS
from m3amba_zoo.system.memory import keep_freed_memory
from workshop.benchmarks import fresh_process
from workshop.benchmarks.peak_memory import peak_mebibytes
from workshop.benchmarks.section import NOT_MEASURED, Row, Section
from workshop.benchmarks.sized_model import CHANNELS, CLASSES, CLIP_FEATURES, model_config
from workshop.benchmarks.timing import median_seconds

BATCHES = {"t": 16, "s": 16, "b": 2}  # windows a step
RUNS = 3  # a row on two cores takes up to half a minute, and there are eighteen
TIME_LIMIT = 240.0  # seconds a row; compiling size b may take longer on few cores
PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "float16", "bfloat16")}
PLAIN, CHECKPOINTING, COMPILED = WAYS = ("plain", "checkpointing", "torch.compile")


def measure(
    batches: Mapping[str, int] = BATCHES, window: int = 32, ways: Sequence[str] = WAYS, runs: int = RUNS
) -> Section:
    """Measure forward, loss, backward and AdamW's step, each row in a process of its own."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    section = Section(
        f"train: one step, {CHANNELS['hsi']} + 1 channels, {window} x {window} windows, CLIP excluded, "
        f"{where}"
    )
    for size, batch in batches.items():
        for precision in PRECISIONS[device]:
            for way in ways:
                amp = "" if precision == "float32" else " AMP"
                row: Row = {"size": size, "precision": precision + amp, "way": way, "batch": batch}
                section.rows.append(row)
                try:
                    row |= fresh_process.call(
                        training_step,
                        TIME_LIMIT,
                        size=size,
                        batch=batch,
                        window=window,
                        precision=precision,
                        way=way,
                        device=device,
                        runs=runs,
                    )
                except fresh_process.ProcessFailedError as error:
                    row[NOT_MEASURED] = str(error)
    return section


def training_step(
    size: str, batch: int, window: int, precision: str, way: str, device: str, runs: int
) -> dict[str, float]:
    """Return the step's windows a second and its peak in MiB above weights, gradients and optimiser's state.

    ``first_step_s`` holds what is done once: loading the kernels, or compiling.
    """
    keep_freed_memory()  # as the command does
    torch.manual_seed(0)
    config, with_encoder = model_config(size, window)
    del config["data_preprocessor"]
    config["neck"] = {**config["neck"], "checkpointing": way == CHECKPOINTING}
    model = MODELS.build(config).train().to(device)
    if way == COMPILED:
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = torch.amp.GradScaler(device, enabled=precision == "float16")
    shapes = {modality: (batch, bands, window, window) for modality, bands in CHANNELS.items()}
    inputs = {modality: torch.randn(shape, device=device) for modality, shape in shapes.items()}
    features = {m: torch.randn(batch, CLIP_FEATURES, device=device) for m in inputs} if with_encoder else None
    labels = torch.randint(0, CLASSES + 1, (batch, window, window), device=device)

    def step() -> None:
        with torch.autocast(device, getattr(torch, precision), enabled=precision != "float32"):
            losses = model(inputs, features, mode="loss", labels=labels)
        optimizer.zero_grad()
        scaler.scale(sum(losses.values())).backward()
        scaler.step(optimizer)
        scaler.update()
        if device == "cuda":
            torch.cuda.synchronize()

    first = median_seconds(step, runs=1, warm_up=False)  # makes gradients and the optimiser's state, too
    peak = _peak_mebibytes(step, device)
    seconds = median_seconds(step, runs, warm_up=False)
    return {
        "windows_per_s": batch / seconds,
        "step_s": seconds,
        "peak_mib": peak,
        "first_step_s": first,
    }


def _peak_mebibytes(step: Callable[[], None], device: str) -> float:
    if device == "cpu":
        return peak_mebibytes(step)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20
