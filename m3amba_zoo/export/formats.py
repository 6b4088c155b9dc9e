"""The two formats of an exported program, each as the bytes of one file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.export import ExportedProgram

from m3amba_zoo.errors import InputError
from m3amba_zoo.export.facts import EXTRA_FILE, KEY
from m3amba_zoo.export.whole_function import BATCH, LOGITS, POSTERIORS

LARGEST_ONNX = 2**31 - 2**20  # bytes of weights; a file may have 2 GiB, and the graph takes some


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
