"""Under torch.compile, torch.export and activation checkpointing the network gives the same."""

import pytest
import torch

from m3amba_zoo.registry import MODELS

AMP = pytest.mark.parametrize("amp", [False, True], ids=["float32", "bfloat16"])


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


def build(checkpointing=False):
    torch.manual_seed(0)
    return MODELS.build(
        {
            "type": "M3amba",
            "in_channels": {"hsi": 5, "sar": 2},
            "num_classes": 3,
            "embed_dim": 16,
            "window": 6,
            "adapter": {"type": "ClipAdapter", "feature_dim": 7},
            "neck": {
                "type": "CrossMamba",
                "depth": 2,
                "d_state": 3,
                "drop_path": 0.5,
                "checkpointing": checkpointing,
            },
            "loss": {"type": "StreamLoss", "consistency": 0.1},
            "data_preprocessor": {"type": "RasterPreprocessor"},
        }
    )


def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = {m: torch.randn(4, bands, 6, 6, generator=generator) for m, bands in (("hsi", 5), ("sar", 2))}
    features = {m: torch.randn(4, 7, generator=generator) for m in inputs}
    return inputs, features, torch.randint(0, 4, (4, 6, 6), generator=generator)


def outputs_and_gradients(model, function, mode="loss", amp=False):
    """Run a step and return everything that it makes."""
    inputs, features, labels = batch()
    model.zero_grad()
    torch.manual_seed(2)  # of DropPath
    with torch.autocast("cpu", torch.bfloat16, enabled=amp):
        outputs = function(inputs, features, mode=mode, labels=labels)
    values = list(outputs.values() if isinstance(outputs, dict) else outputs)
    sum(value.float().square().sum() for value in values).backward()
    return values, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("mode", "amp", "checkpointing"),
    [("tensor", False, False), ("loss", False, False), ("loss", True, True)],
    ids=["logits", "loss", "loss, bfloat16, checkpointing"],
)
def test_compiles_as_one_graph_to_the_same_outputs_and_gradients(mode, amp, checkpointing):
    model = build(checkpointing)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    expected = outputs_and_gradients(model, model, mode, amp)
    found = outputs_and_gradients(model, compiled, mode, amp)
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if amp else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(found, expected, **tolerance)


def test_the_whole_test_step_compiles_pretreatment_included():
    """As MMEngine compiles it: ``test_step`` is the data preprocessor and ``predict``."""
    model = build().eval()
    inputs, *_ = batch()
    inputs["hsi"][0, :, 2, 2] = torch.nan
    compiled = torch.compile(model.test_step, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled({"inputs": inputs}), model.test_step({"inputs": inputs}))


@AMP
def test_export_gives_the_same_logits(amp):
    pytest.importorskip("torch", minversion="2.8")  # what m3amba export needs
    model = build().eval()
    inputs, features, _ = batch()
    with torch.autocast("cpu", torch.bfloat16, enabled=amp), torch.no_grad():
        program = torch.export.export(model, (inputs, features))
        found, expected = program.module()(inputs, features), model(inputs, features)
    torch.testing.assert_close(found, expected)


@AMP
def test_checkpointing_gives_the_same_gradients(amp):
    plain, checkpointing = build(), build(checkpointing=True)
    expected = outputs_and_gradients(plain, plain, amp=amp)
    found = outputs_and_gradients(checkpointing, checkpointing, amp=amp)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_checkpointing_keeps_less_for_the_backward_pass():
    kept = []
    for checkpointing in (False, True):
        model = build(checkpointing)
        inputs, features, _ = batch()
        saved = {}  # by address: several operators may save the same tensor

        def note(tensor, saved=saved):
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = model(inputs, features)
        kept.append(sum(saved.values()))
        assert logits["fused"].requires_grad
    assert kept[1] < kept[0] / 3
