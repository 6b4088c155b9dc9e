"""MMEngine's Runner, quiet on the terminal and strict about weights."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.checkpoint import _load_checkpoint, _load_checkpoint_to_model
from rich import get_console
from torch import nn

from m3amba_zoo.config.options import FREEZE
from m3amba_zoo.engine.checkpoint import check_data, describe_data
from m3amba_zoo.engine.freezing import FreezeHook, freeze, leave_out_frozen
from m3amba_zoo.errors import InputError
from m3amba_zoo.models.weights import check_fit
from m3amba_zoo.registry import RUNNERS

# what MMEngine warns of its own doing, or of what a model is: true, but nothing that a user should change
CHATTER = re.compile(
    r"FileClient|HardDiskBackend|Failed to search registry|The prefix is not set in metric"
    r"|is skipped since its requires_grad=False"
)


class ConsoleHandler(logging.Handler):
    """Prints log records through rich, which keeps them clear of a progress bar."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out MMEngine's chatter."""
        return not CHATTER.search(record.getMessage()) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        message = f"{record.levelname.lower()}: {record.getMessage()}"
        get_console().print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


@RUNNERS.register_module()
class ZooRunner(Runner):
    """MMEngine's Runner for the zoo; what is different.

    - The terminal shows warnings only; everything is in the log file.
    - Weights that are resumed or tested must fit the model exactly.
    - Several processes may train on CPUs (``--launcher pytorch``).
    - The config is written when training starts, after all checks.
    - ``compile`` in a config compiles the network, not the optimiser and the log around it.
    - ``freeze`` in a config lists patterns of parameters that are not trained (``engine/freezing.py``).
    - Hooks may define ``after_stop(runner)``, called when training or testing ends, also by an error.
    """

    trained_epochs: int | None = None  # of the weights loaded last, where their file says so

    @property
    def started(self) -> bool:
        """Whether an iteration has been trained, by this run or by the one it resumes."""
        return isinstance(self._train_loop, BaseLoop) and self._train_loop.iter > 0

    def setup_env(self, env_cfg: dict) -> None:
        """Join the other processes; MMEngine knows GPUs only."""
        if self.distributed and not torch.cuda.is_available():
            if self.launcher != "pytorch":
                raise InputError(f"--launcher {self.launcher}: no GPU found, expected pytorch on CPUs")
            torch.distributed.init_process_group("gloo")
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes; on CPUs without the device ids that MMEngine passes.

        Before, since the wrapper asks which parameters are trained, freeze what the config says.
        """
        freeze(model, self.cfg.get(FREEZE))
        if self.distributed and not torch.cuda.is_available():
            return MMDistributedDataParallel(module=model, broadcast_buffers=False)
        return super().wrap_model(model_wrapper_cfg, model)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build the optimiser, without the parameters that the config freezes."""
        built = super().build_optim_wrapper(optim_wrapper)
        if self.cfg.get(FREEZE):
            leave_out_frozen(built)
        return built

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
        """Compile the network where the config asks for it: ``compile``, True or arguments of torch.compile.

        MMEngine compiles ``target``, the whole step: its backward pass breaks the graph, and what it writes
        into the log is compiled anew at every step.

        Raises:
            InputError: ``compile`` is something else.
        """
        wish = self.cfg.get("compile") or False
        if not isinstance(wish, (bool, dict)):
            raise InputError(f"compile is {wish!r}, expected True, False or arguments of torch.compile")
        if wish is not False:
            model = self.model.module if is_model_wrapper(self.model) else self.model
            model.compile(**({} if wish is True else wish))

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = "cpu",
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r"^module\.", ""),),
    ) -> dict:
        """Load weights, which must fit the model exactly, on data whose split is that of their training.

        Raises:
            InputError: the file cannot be read, does not fit, or was trained on another split of the data.
        """
        checkpoint = _load_checkpoint(str(filename), map_location, logger="current")
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if self._resume and not {"optimizer", "message_hub"} <= checkpoint.keys():
            raise InputError(
                f"{filename}: holds weights only, --resume needs a checkpoint that training wrote "
                "(epoch_*.pth)"
            )
        check_fit(checkpoint["state_dict"], model.state_dict(), filename)
        for loop in (self._train_loop, self._val_loop, self._test_loop):
            if isinstance(loop, BaseLoop):
                given = describe_data(getattr(loop.dataloader.dataset, "metainfo", {}))
                check_data(checkpoint["meta"].get("data", {}), given, filename)
        checkpoint = _load_checkpoint_to_model(
            model, checkpoint, logger="current", revise_keys=list(revise_keys)
        )
        self._has_loaded = True
        self.trained_epochs = checkpoint["meta"].get("epoch")
        self.logger.info(f"Load checkpoint from {filename}")
        return checkpoint

    def load_final_weights(self) -> None:
        """Load the weights that the training chose from their file: the best, where it kept one, or the last.

        What is tested is so what the file holds (the averaged weights, where the run keeps an average).
        """
        barrier()  # the main process has written it
        named = (self.message_hub.get_info(key) for key in ("best_ckpt", "last_ckpt"))
        for path in (Path(name) for name in named if name):
            for candidate in (path, Path(self.work_dir) / path.name):
                if candidate.is_file():
                    self._resume = False  # EMAHook would else take the file's raw weights
                    self.load_checkpoint(str(candidate), strict=True)
                    return

    def train(self) -> nn.Module:
        """Train."""
        try:
            return super().train()
        finally:
            self.call_hook("after_stop")

    def test(self) -> dict:
        """Test."""
        try:
            return super().test()
        finally:
            self.call_hook("after_stop")
