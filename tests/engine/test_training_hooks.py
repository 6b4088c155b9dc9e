"""What a training says of a loss that is not finite, and how the model is wrapped for several processes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from m3amba_zoo.engine import ZooRunner
from m3amba_zoo.engine.training import FiniteLossHook
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import RasterPreprocessor


def runner():
    """What the hook reads of a Runner whose loss is NaN; its pretreatment was fitted on values around 0."""
    preprocessor = RasterPreprocessor({"hsi": 3})
    preprocessor.fit({"hsi": np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)}, np.ones(50))
    loss = SimpleNamespace(current=lambda: float("nan"))
    return SimpleNamespace(
        message_hub=SimpleNamespace(get_scalar=lambda name: loss),
        optim_wrapper=SimpleNamespace(get_lr=lambda: {"lr": [0.001]}),
        model=SimpleNamespace(data_preprocessor=preprocessor),
        epoch=0,
    )


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (3.0, "a smaller optim_wrapper.optimizer.lr"),
        (-1e15, r"\(-1e\+15 in band 2 of 'hsi'\).* marked as nodata"),
    ],
)
def test_a_smaller_learning_rate_is_no_advice_where_a_pixel_is_bad(value, advice):
    windows = torch.zeros(2, 3, 4, 4)
    windows[1, 2, 3, 0] = value
    windows[0, :, 0, 0] = torch.nan
    with pytest.raises(InputError, match=advice) as caught:
        FiniteLossHook().after_train_iter(runner(), 0, {"inputs": {"hsi": windows}}, {"loss": 0})
    assert ("optimizer.lr" in str(caught.value)) == (value == 3)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, (False, False)),
        ({"find_unused_parameters": True}, (True, False)),
        ({"model_wrapper_cfg": {"find_unused_parameters": True, "broadcast_buffers": True}}, (True, True)),
    ],
)
def test_what_a_config_says_of_several_processes_holds_on_cpus(config, found, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/meeting", world_size=1, rank=0)
    try:
        run = SimpleNamespace(cfg=Config(config), distributed=True)
        wrapped = ZooRunner.wrap_model(run, run.cfg.get("model_wrapper_cfg"), nn.Linear(2, 2))
        assert (wrapped.find_unused_parameters, wrapped.broadcast_buffers) == found
    finally:
        torch.distributed.destroy_process_group()
