"""Early stopping that a resumed run continues, and that ``metrics.json`` names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mmengine.hooks import EarlyStoppingHook
from mmengine.runner import Runner

from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import BEST, LAST
from m3amba_zoo.registry import HOOKS

STATE = "early_stop_{}"  # the message hub's, kept in checkpoints: the best value of a score and its epoch


@HOOKS.register_module()
class EarlyStopHook(EarlyStoppingHook):
    """Ends a training whose score on validation has not been better for a number of epochs.

    MMEngine's ``EarlyStoppingHook`` counts validations, begins anew in a resumed run, and never stops at a
    score that stays the same. This one counts epochs, keeps what it knows in checkpoints, and takes the same
    values for better as ``save_best`` does.

    Args:
        monitor: the score, as the validation names it.
        patience: epochs.
        rule: ``greater`` or ``less``: which values are better; None lets MMEngine tell by the score's name.

    Attributes:
        said: why the training was stopped; None if it was not.
    """

    priority = "LOW"  # the hook for checkpoints comes later: an unknown score is a KeyError there

    def __init__(self, monitor: str, patience: int, rule: str | None = "greater") -> None:
        super().__init__(monitor, rule=rule, min_delta=0.0, patience=patience, strict=True)
        self.said: str | None = None

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Compare the score with the best one so far.

        Raises:
            InputError: if the validation does not give the score.
        """
        metrics = metrics or {}
        if self.monitor not in metrics:
            raise InputError(
                f"early stopping waits for the score '{self.monitor}', but the validation gives "
                f"{', '.join(metrics) or 'none'}; default_hooks.checkpoint.save_best names the score"
            )
        score, key = float(metrics[self.monitor]), STATE.format(self.monitor)
        never = -math.inf if self.rule == "greater" else math.inf
        best, epoch = runner.message_hub.get_info(key, (never, 0))
        if self.rule_map[self.rule](score, best):
            runner.message_hub.update_info(key, (score, runner.epoch))
        elif runner.epoch - epoch >= self.patience:
            runner.train_loop.stop_training = True
            waited = runner.epoch - epoch
            self.said = (
                f"stopped early after epoch {runner.epoch}: {self.monitor} on validation has not been better "
                f"than {best:.4f} (epoch {epoch}) for {waited} epoch{'s' * (waited != 1)}"
            )
            runner.logger.info(self.said)


def best_rule(runner: Runner, score: str) -> str:
    """Return the rule by which the best weights were chosen, in words."""
    return ", ".join(filter(None, (BEST.format(score), _stopping(runner))))


def last_rule(runner: Runner) -> str:
    """Return the rule by which the last weights were chosen, in words."""
    stopping = _stopping(runner)
    return f"last epoch, {stopping}" if stopping else LAST


def _stopping(runner: Runner) -> str:
    """Name a run's early stopping, by the zoo's hook or MMEngine's; empty if there is none."""
    hook = next((hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)), None)
    if hook is None:
        return ""
    unit = "epochs" if isinstance(hook, EarlyStopHook) else "validations"
    return f"early stopping on {hook.monitor} with a patience of {hook.patience} {unit}"
