"""The commands train and test, called in this process."""

import json
from pathlib import Path

import pytest
import torch

from m3amba_zoo.cli import test as testing
from m3amba_zoo.cli import train as training
from m3amba_zoo.errors import InputError

REPOSITORY = Path(__file__).parents[2]
RUNTIME = REPOSITORY / "configs/_base_/default_runtime.py"
# what is added to a toy's config
EMA = "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
VALIDATION = """
val_dataloader = test_dataloader
val_evaluator = test_evaluator
val_cfg = dict(type="ValLoop")
default_hooks = dict(checkpoint=dict(save_best="toy/oa", rule="greater"))
"""
# in place of a config's official split
VALIDATED_SPLIT = 'split=dict(type="official", val=dict(fraction=0.2, guard=0, seed=0))'


def run(command, config, *arguments):
    return command.main([str(config), *arguments])


def train(config, *arguments):
    return run(training, config, *arguments)


def check(config, *arguments):
    return run(testing, config, *arguments)


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def record(run="run"):
    return json.loads(Path(run, "metrics.json").read_text())


def weights_of(path):
    return torch.load(path, weights_only=True)
