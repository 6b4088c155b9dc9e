"""A trained model as one function: raw windows in, posteriors out, in operators of torch alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from m3amba_zoo.models import FUSED, PatchClassifier, Posterior, WindowClassifier
from m3amba_zoo.ops.plain import decompositions

BATCH, LARGEST_BATCH = "batch", 2**16
POSTERIORS, LOGITS = "posteriors", "logits"  # what the function returns, in this order


class WholeFunction(nn.Module):
    """What a model does in mode ``predict``, pretreatment and Posterior included, for a batch of windows.

    Args:
        model: in evaluation mode. Its Posterior is set to see all views at once, which changes no result.

    Attributes:
        model: as given.
    """

    def __init__(self, model: WindowClassifier) -> None:
        super().__init__()
        self.model = model
        if isinstance(model.posterior, Posterior):
            model.posterior.views_at_once = True

    def forward(self, bands: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return ``posteriors`` and ``logits``, each ``(B, K, S, S)`` float32.

        Posteriors are the softmax of the logits. Overlapping windows are joined by the mean of their logits,
        as ``Predictor`` joins them.

        Args:
            bands: raw windows ``(B, C_m, S + 2 margin, S + 2 margin)`` float32 by modality, NaN where a value
                is missing.
        """
        batch = self.model.data_preprocessor({"inputs": bands}, False)
        logits = self._logits(batch["inputs"])
        if self.model.posterior is not None:
            logits = self.model.posterior(self._logits, batch["inputs"], batch.get("bands"))
        return {POSTERIORS: logits.softmax(1), LOGITS: logits}

    def _logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        model = self.model
        of = model.logits_at_once if isinstance(model, PatchClassifier) else model.logits
        return of(inputs)[FUSED].float()


def exported_window(model: WindowClassifier, window: int) -> int:
    """Return S of the exported function: that of the model's evaluation, or less for a patch-wise model.

    Such a model gives a pixel the same logits in a window of any size. It cuts a patch for each of S x S
    pixels, which are at most ``patches_at_once``.
    """
    if isinstance(model, PatchClassifier):
        return min(window, math.isqrt(model.patches_at_once))
    return window


@torch.no_grad()
def trace(model: WindowClassifier, window: int) -> ExportedProgram:
    """Trace a model's whole function; the batch is dynamic, rows and columns are fixed.

    Args:
        model: in evaluation mode, on the CPU. Its parameters ask for no gradient afterwards.
        window: S.

    Returns:
        A program without operators of this package, and without the paths of this machine's source files.
    """
    side = window + 2 * model.margin
    example = {m: torch.zeros(2, bands, side, side) for m, bands in model.in_channels.items()}
    # torch.onnx traces the program again, and cannot trace a loop over a batch without a limit
    shapes = {"bands": {m: {0: Dim(BATCH, max=LARGEST_BATCH)} for m in example}}
    function = WholeFunction(model).requires_grad_(False)  # else a backward pass of each loop is traced too
    program = torch.export.export(function, (example,), dynamic_shapes=shapes)
    program = program.run_decompositions(decompositions())
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program
