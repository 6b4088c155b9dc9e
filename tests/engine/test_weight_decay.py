"""Weight decay acts on matrices and kernels of every network, and on nothing else."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from m3amba_zoo.config import read_config
from m3amba_zoo.engine.training import freeze, leave_out_frozen
from m3amba_zoo.models.ss2d import ScanParameters
from m3amba_zoo.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
SCHEDULE = Config.fromfile(CONFIGS / "_base_/schedules/adamw.py").optim_wrapper
NETWORKS = ["m3amba.py", *(f"baselines/{path.name}" for path in (CONFIGS / "baselines").glob("*.py"))]
KERNELS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
SPARED = ("A_log", "D", "dt_bias", "position", "class_token")


@pytest.fixture(autouse=True)
def zoo_scope():
    with DefaultScope.overwrite_default_scope("m3amba_zoo"):
        yield


def decay_by_name(model, optim_wrapper):
    built = build_optim_wrapper(model, optim_wrapper)
    leave_out_frozen(built)
    groups = built.optimizer.param_groups
    decay = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    return {name: decay[value] for name, value in model.named_parameters() if value in decay}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_only_what_weighs_inputs_decays_in_every_network(name):
    config = read_config(CONFIGS / name, "simulated_houston")
    if "classifier" in config:
        pytest.skip("a classical classifier")
    model = MODELS.build(config.model)
    decay = decay_by_name(model, SCHEDULE)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    assert decay.keys() == trained.keys()
    kernels = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, KERNELS)}
    assert {decay[name] for name in kernels & trained.keys()} == {0.05}
    spared = {name for name, value in trained.items() if value.ndim == 1}
    spared |= {name for name in trained if any(word in SPARED for word in name.split("."))}
    assert {decay[name] for name in spared} == {0.0}


def test_other_options_of_the_optimizer_stand_and_frozen_parameters_are_left_out():
    model = nn.ModuleDict({"head": nn.Linear(4, 2), "body": nn.Linear(4, 4), "scan": ScanParameters(4, 2, 1)})
    freeze(model, ["body.*"])
    options = {
        "type": "OptimWrapper",
        "constructor": "MatrixDecayConstructor",
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.2},
    }
    decay = decay_by_name(model, options)
    assert not any(name.startswith("body") for name in decay)
    assert (decay["head.weight"], decay["head.bias"], decay["scan.x_proj"]) == (0.2, 0.0, 0.2)
    by_name = {"paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.1, "decay_mult": 0.5}}}}
    built = build_optim_wrapper(model, {**options, **by_name})
    of_head = [g for g in built.optimizer.param_groups if g["params"][0] in set(model["head"].parameters())]
    assert [(g["lr"], g["momentum"], g["weight_decay"]) for g in of_head] == [
        (pytest.approx(0.01), 0.5, 0.1),
        (pytest.approx(0.01), 0.5, 0.0),
    ]
    before = model["scan"].A_log.clone()
    built.update_params(model["head"](torch.ones(1, 4)).sum() + 0 * model["scan"].A_log.sum())
    assert torch.equal(model["scan"].A_log, before)
