"""The progress display on a terminal and elsewhere."""

import time
from types import SimpleNamespace

import pytest
import rich
from mmengine.logging import HistoryBuffer
from rich.console import Console

from m3amba_zoo.engine.console import ProgressHook


@pytest.fixture
def runner():
    hub = SimpleNamespace(get_scalar=lambda name: HistoryBuffer([0.25, 0.75], [1, 1]))
    return SimpleNamespace(max_iters=4, iter=2, epoch=1, max_epochs=2, message_hub=hub)


def shown(monkeypatch, terminal, use):
    console = Console(force_terminal=terminal, width=120, record=True)
    monkeypatch.setattr(rich, "_console", console)
    use(ProgressHook())
    return console.export_text()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_resumed_epoch_is_shown(monkeypatch, capsys, runner, terminal):
    def use(hook):
        hook.before_train(runner)
        hook.after_train_iter(runner, 0)
        hook.after_train_iter(runner, 1)
        hook.after_train(runner)

    text = shown(monkeypatch, terminal, use)
    for part in ("epoch 2/2", "4/4", "loss 0.5000", "it/s", "0:00:00 left"):
        assert part in text


def test_the_first_step_which_compiles_is_not_counted(monkeypatch, capsys, runner):
    seconds = iter([0.0, 30.0, 30.5, 31.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    runner.iter = 1

    def use(hook):
        hook.before_train(runner)
        for step in range(3):
            hook.after_train_iter(runner, step)

    first, *_, last = shown(monkeypatch, False, use).splitlines()
    assert first == "epoch 2/2, 2/4, loss 0.5000"
    assert last == "epoch 2/2, 4/4, loss 0.5000, 2.00 it/s, 0:00:00 left"


def test_the_terminal_is_given_back_after_an_error(monkeypatch, capsys, runner):
    def use(hook):
        hook.before_train(runner)
        hook.after_stop(runner)

    shown(monkeypatch, True, use)
    assert capsys.readouterr().out.rstrip().endswith("\x1b[?25h")  # the cursor is visible again
