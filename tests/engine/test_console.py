"""What of MMEngine's log reaches the terminal."""

import logging

from m3amba_zoo.engine.console import ConsoleHandler


def test_warnings_that_a_user_can_act_on_are_shown_and_chatter_is_not(capsys):
    handler = ConsoleHandler(logging.WARNING)
    for message in (
        "neck.fused.0.scan.fused.D is skipped since its requires_grad=False",
        'Failed to search registry with scope "m3amba_zoo"',
        "the batch size is 1: batch norm will fail",
    ):
        handler.handle(logging.makeLogRecord({"msg": message, "levelno": logging.WARNING, "levelname": "W"}))
    assert capsys.readouterr().out == "w: the batch size is 1: batch norm will fail\n"
