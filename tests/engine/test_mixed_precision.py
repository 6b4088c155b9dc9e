"""Mixed precision where MMEngine has none: on the CPU."""

import pytest
import torch
from torch import nn

from m3amba_zoo.engine.training import AmpOptimWrapper
from m3amba_zoo.errors import InputError


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is what this machine would use")
def test_bfloat16_on_the_cpu():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        output = model(torch.ones(4, 3))
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().square().sum())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
    wrapper.load_state_dict(wrapper.state_dict())


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA has float16")
@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_other_types_are_refused_on_the_cpu(dtype):
    with pytest.raises(InputError, match=f"'{dtype}', expected bfloat16"):
        AmpOptimWrapper(dtype=dtype, optimizer=torch.optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("dtype", "scaled"), [("float16", True), ("bfloat16", False)])
def test_types_on_cuda(dtype, scaled):
    model = nn.Linear(3, 2).cuda()
    wrapper = AmpOptimWrapper(dtype=dtype, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapper.optim_context(model):
        output = model(torch.ones(4, 3, device="cuda"))
    assert output.dtype == getattr(torch, dtype)
    assert wrapper.loss_scaler.is_enabled() == scaled
    before = model.weight.detach().clone()
    wrapper.update_params(output.float().square().sum())
    assert not torch.equal(model.weight, before)
