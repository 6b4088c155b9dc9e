"""A trained model as one program in operators of torch alone, and that program as the bytes of a file."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from m3amba_zoo.errors import InputError
from m3amba_zoo.models import FUSED, PatchClassifier, Posterior, WindowClassifier
from m3amba_zoo.ops.plain import decompositions

BATCH, LARGEST_BATCH = "batch", 2**16
POSTERIORS, LOGITS = "posteriors", "logits"  # what the function returns, in this order
KEY, EXTRA_FILE = "m3amba_zoo", "m3amba_zoo.json"
"""Where the facts lie, as JSON: the name of ONNX's metadata, and of a file in torch's archive."""
LARGEST_ONNX = 2**31 - 2**20  # bytes of weights; a file may have 2 GiB, and the graph takes some


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


def onnx_bytes(program: ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """Return the program as ONNX, with the facts as metadata; each modality is an input of its name.

    Raises:
        InputError: if the weights are too large for one file.
    """
    import onnx_ir
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass

    weights = [*program.state_dict.values(), *program.constants.values()]
    size = sum(x.nbytes for x in weights if isinstance(x, torch.Tensor))
    if size > LARGEST_ONNX:
        raise InputError(
            f"{facts['model']}: has weights of {size / 2**30:.1f} GiB, but an ONNX file holds 2; "
            "use --to torch"
        )
    modalities = [modality["name"] for modality in facts["modalities"]]
    translated = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=modalities,
        output_names=[POSTERIORS, LOGITS],
        dynamic_shapes={"bands": {m: {0: BATCH} for m in modalities}},  # names the axis of the batch
    )
    assert translated is not None  # it is None only for a file that torch writes itself
    # read again, because torch's graph still counts the uses of what it has replaced
    model = onnx_ir.from_proto(translated.model_proto)
    RemoveUnusedNodesPass()(model)  # onnxruntime warns of weights that nothing reads
    ClearMetadataAndDocStringPass()(model)  # names source files of this machine
    model.metadata_props[KEY] = json.dumps(facts)
    return onnx_ir.to_proto(model).SerializeToString()


def torch_bytes(program: ExportedProgram, facts: Mapping[str, Any]) -> bytes:
    """Return the program as torch's archive, with the facts in a file beside it."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={EXTRA_FILE: json.dumps(facts)})
    return buffer.getvalue()


class Format(NamedTuple):
    """A format: the suffix of its files, the packages that it needs, and what makes a file's bytes."""

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportedProgram, Mapping[str, Any]], bytes]


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript"), onnx_bytes),
    "torch": Format(".pt2", (), torch_bytes),
}
