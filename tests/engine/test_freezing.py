"""Frozen parts are fixed functions: no gradient, no new statistics, no chance."""

from types import SimpleNamespace

import torch
from mmengine.logging import MessageHub
from torch import nn

from m3amba_zoo.engine.training import FreezeHook, freeze


def test_a_frozen_part_is_the_same_function_after_steps_of_training():
    body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    model = nn.ModuleDict({"body": body, "norm": nn.BatchNorm1d(8), "head": nn.Linear(8, 2)})
    freeze(model, ["body.*", "norm.weight"])
    hook = FreezeHook()
    hub = MessageHub("freezing")
    runner = SimpleNamespace(model=model, message_hub=hub, cfg={"freeze": ["body.*", "norm.weight"]})
    hook.before_train(runner)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(16, 4)
    before = body.eval()(x)
    statistics = model["norm"].running_mean.clone()
    for step in range(3):
        model.train()  # as loops do when an epoch begins
        hook.before_train_iter(runner, step)
        model["head"](model["norm"](body(x))).square().sum().backward()
        optimizer.step()
    assert torch.equal(body(x), before)
    assert model["norm"].training  # its bias is trained
    assert not torch.equal(model["norm"].running_mean, statistics)
