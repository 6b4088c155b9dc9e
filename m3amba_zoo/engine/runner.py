"""MMEngine's Runner, quiet on the terminal and strict about weights, and what ends it after a whole step."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, master_only
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import BaseLoop, Runner
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochLoop
from torch import nn
from torch.utils.data import DataLoader

from m3amba_zoo import stopping
from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.engine.any_runner import bare_model
from m3amba_zoo.engine.checkpoint import SafeCheckpointHook, durable_file, load_into
from m3amba_zoo.engine.console import ConsoleHandler
from m3amba_zoo.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from m3amba_zoo.engine.saved_state import check_resumable, check_states, is_accumulating
from m3amba_zoo.engine.training import FreezeHook, freeze, leave_out_frozen, without_long_warm_up
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import read_checkpoint
from m3amba_zoo.ops import set_default_backend
from m3amba_zoo.registry import RUNNERS


class _QuietWorker:
    """Has a worker of a data loader ignore the signals that its process answers, and initialises it."""

    def __init__(self, first: Callable[[int], None] | None) -> None:
        self.first = first

    def __call__(self, worker: int) -> None:
        stopping.leave_to_parent()
        if self.first is not None:
            self.first(worker)


@RUNNERS.register_module()
class ZooRunner(Runner):
    """MMEngine's Runner for the zoo; the table in ``m3amba_zoo.engine`` says what is different and why."""

    def setup_env(self, env_cfg: dict) -> None:
        """Join the other processes, and choose the scan's backend that the config names.

        Raises:
            InputError: if there is no GPU and the launcher is not ``pytorch``, or no backend has that name.
        """
        set_default_backend(self.cfg.get("scan_backend"), asked_by="scan_backend")
        if self.distributed and not torch.cuda.is_available():
            if self.launcher != "pytorch":
                raise InputError(f"--launcher {self.launcher}: no GPU found, expected pytorch on CPUs")
            torch.distributed.init_process_group("gloo")
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Freeze what the config says, then wrap the model for several processes.

        The wrapper asks which parameters are trained. On CPUs it must not get MMEngine's device ids; what
        ``model_wrapper_cfg`` and ``find_unused_parameters`` say holds there, too.
        """
        freeze(model, self.cfg.get(FREEZE))
        if self.distributed and not torch.cuda.is_available():
            unused = self.cfg.get("find_unused_parameters", False)
            default = {"broadcast_buffers": False, "find_unused_parameters": unused}
            wrapper = {
                "type": "MMDistributedDataParallel",
                **(default if model_wrapper_cfg is None else model_wrapper_cfg),
            }
            return MODEL_WRAPPERS.build(wrapper, default_args={"module": model})
        return super().wrap_model(model_wrapper_cfg, model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build the optimiser, without the parameters that the config freezes."""
        built = super().build_optim_wrapper(optim_wrapper)
        if self.cfg.get(FREEZE):
            leave_out_frozen(built)
        return built

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedule, without a warm-up that would fill the whole training."""
        if isinstance(self._train_loop, MMEngineEpochLoop):
            scheduler = without_long_warm_up(scheduler, self.max_epochs)
        return super().build_param_scheduler(scheduler)

    def build_train_loop(self, loop: Any) -> BaseLoop:
        """Build the zoo's training loop, also where ``train_cfg`` has ``by_epoch`` in place of a type."""
        if isinstance(loop, dict) and "type" not in loop and "by_epoch" in loop:
            loop = copy.deepcopy(loop)
            loop["type"] = EpochBasedTrainLoop if loop.pop("by_epoch") else IterBasedTrainLoop
        return super().build_train_loop(loop)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        """Build a data loader whose workers leave it to this process when they end.

        Raises:
            InputError: if its dataset does not say of what class it is.
        """
        dataset = dataloader.get("dataset") if isinstance(dataloader, dict) else None
        if isinstance(dataset, dict) and "type" not in dataset:
            raise InputError("the dataset of a data loader has no 'type', expected the name of a dataset")
        loader = Runner.build_dataloader(dataloader, *args, **kwargs)
        loader.worker_init_fn = _QuietWorker(loader.worker_init_fn)
        return loader

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Build the logger; the terminal gets warnings and errors."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                quiet = ConsoleHandler(max(handler.level, logging.WARNING))
                quiet.filters = handler.filters
                logger.handlers[logger.handlers.index(handler)] = quiet
        return logger

    def dump_config(self) -> None:
        """Leave the work dir's config as it is: a test or a refused run must not replace it."""

    def get_hooks_info(self) -> str:
        """Return the hooks in the order of their calls, one a line; MMEngine lists them for every stage."""
        return "\n".join(f"  {type(hook).__name__} ({hook.priority})" for hook in self.hooks)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call the hooks; once those before training have found no fault, write the config."""
        super().call_hook(fn_name, **kwargs)
        if fn_name == "before_train":
            super().dump_config()

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Register the hooks; a config drops one, the zoo's too, by setting it to None."""
        mmengine = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
        kept = {name: hook for name, hook in (hooks or {}).items() if hook is not None or name in mmengine}
        super().register_default_hooks(kept)
        if self.cfg.get(FREEZE):
            self.register_hook(FreezeHook())

    def _maybe_compile(self, target: str) -> None:
        """Compile the network where the config's ``compile`` is True or arguments of torch.compile.

        MMEngine compiles ``target``, the whole step: its backward pass breaks the graph, and what it writes
        into the log is compiled anew at every step.

        Raises:
            InputError: if ``compile`` is something else.
        """
        wish = self.cfg.get("compile") or False
        if not isinstance(wish, (bool, dict)):
            raise InputError(f"compile is {wish!r}, expected True, False or arguments of torch.compile")
        if wish is not False:
            bare_model(self).compile(**({} if wish is True else wish))

    def load_checkpoint(
        self, filename: str, map_location: str | Callable = "cpu", strict: bool = True, revise_keys: Any = ()
    ) -> dict[str, Any]:
        """Load local weights, which must fit the model exactly, whatever ``strict`` and ``revise_keys`` are.

        Raises:
            InputError: if the file lies elsewhere or cannot be read, does not fit, was trained on another
                split of the data, or is to be resumed and holds weights only.
        """
        if "://" in str(filename):
            raise InputError(f"{filename}: expected a local checkpoint; download the file and give its path")
        checkpoint = read_checkpoint(filename, map_location)
        if self._resume and not {"optimizer", "message_hub"} <= checkpoint.keys():
            raise InputError(
                f"{filename}: holds weights only, --resume needs a checkpoint that training wrote "
                "(epoch_*.pth)"
            )
        if self._resume:
            check_resumable(self, checkpoint, filename)
        load_into(self, checkpoint, filename)
        if self._resume:
            check_states(self, checkpoint, filename)
        return checkpoint

    @master_only
    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Write a checkpoint aside and rename it, so that it is there in full or not at all.

        Raises:
            InputError: if it cannot be written; what lay under that name before is still there.
        """
        path = Path(out_dir, filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable_file(path) as aside:
            super().save_checkpoint(str(aside.parent), aside.name, *args, **kwargs)

    def train(self) -> nn.Module:
        """Train."""
        try:
            return super().train()
        except BaseException:
            with contextlib.suppress(Exception):  # the error is what the user must see
                self.visualizer.close()  # MMEngine does so at a good end only; TensorBoard holds curves back
            raise
        finally:
            self.call_hook("after_stop")

    def test(self) -> dict:
        """Test."""
        try:
            return super().test()
        finally:
            self.call_hook("after_stop")


class StopHook(Hook):
    """Asks after each step whether the run is to stop; the commands add it to every Runner.

    It comes after all other hooks, which have then seen the step that a checkpoint has.
    """

    priority = "LOWEST"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write a checkpoint and raise ``Stopped``, on all processes after the same step."""
        number = _agreed(runner)
        if not number:
            return
        if runner.world_size > 1 and is_accumulating(runner):  # the gradients of each differ and are not kept
            return
        hook = next((hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        if hook is not None:
            hook.save_inside(runner)
        raise stopping.Stopped(number)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Raise ``Stopped``: the epoch's checkpoint is there, and the validation is made anew."""
        stopping.check()

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Raise ``Stopped``."""
        stopping.check()


def _agreed(runner: Runner) -> int:
    """Return the signal that any process was sent, 0 if none."""
    number = torch.tensor(stopping.asked() or 0)
    if runner.world_size > 1:
        number = number.to(next(runner.model.parameters()).device)
        all_reduce(number, "max")
    return int(number)
