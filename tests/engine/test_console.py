"""What of MMEngine's log reaches the terminal and the file."""

import logging

from mmengine.logging import MMLogger

from m3amba_zoo.engine.console import ConsoleHandler
from m3amba_zoo.registry import MODELS


def test_warnings_that_a_user_can_act_on_are_shown_and_chatter_is_not(capsys):
    handler = ConsoleHandler(logging.WARNING)
    for message in (
        "neck.fused.0.scan.fused.D is skipped since its requires_grad=False",
        'Failed to search registry with scope "m3amba_zoo"',
        "the batch size is 1: batch norm will fail",
    ):
        handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.WARNING, "levelname": "W"}))
    assert capsys.readouterr().out == "w: the batch size is 1: batch norm will fail\n"


def test_the_log_names_the_parameters_that_init_cfg_sets_and_no_others(tmp_path):
    MMLogger.get_instance("of_init_cfg", log_file=str(tmp_path / "run.log"))
    model = MODELS.build(
        {
            "type": "M3amba",
            "in_channels": {"hsi": 9, "lidar": 1},
            "num_classes": 2,
            "embed_dim": 16,
            "window": 8,
            "adapter": {"type": "LinearAdapter"},
            "neck": {"type": "CrossMamba", "depth": 1, "d_state": 4},
        }
    )
    model.init_cfg = {"type": "Constant", "layer": "LayerNorm", "val": 0.5}
    model.init_weights()
    lines = [line for line in (tmp_path / "run.log").read_text().splitlines() if " - INFO - " in line]
    assert lines
    assert all(".norm" in line or "_norm" in line for line in lines), lines
