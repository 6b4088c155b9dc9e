"""TensorBoard, MLflow and Weights & Biases beside the run's own log, through MMEngine's ``vis_backends``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.visualization import MLflowVisBackend, WandbVisBackend
from mmengine.visualization.vis_backend import force_init_env

from m3amba_zoo.config.options import decisive, flat
from m3amba_zoo.errors import InputError, one_line
from m3amba_zoo.registry import VISBACKENDS

LONGEST_PARAMETER = 500  # characters; MLflow refuses more, 500 in early versions


class Tracker(NamedTuple):
    """What is known of a tracker.

    Attributes:
        backend: the type of its part.
        module: that has to be importable.
        package: that brings the module.
        shown_by: the command that shows the curves, with ``{}`` for the work dir.
    """

    backend: str
    module: str
    package: str
    shown_by: str


TRACKERS = {
    "tensorboard": Tracker(
        "TensorboardVisBackend", "torch.utils.tensorboard", "tensorboard", "tensorboard --logdir {}"
    ),
    "mlflow": Tracker("MLflowBackend", "mlflow", "mlflow", "mlflow ui"),
    "wandb": Tracker("WandbBackend", "wandb", "wandb", ""),
}


def add_trackers(config: Config, names: Sequence[str], name: str) -> None:
    """Add trackers to what a config's run writes; its own log and its own backends stay.

    Args:
        config: of the run; ``visualizer`` decides no result and is in no hash.
        names: keys of ``TRACKERS``.
        name: the run's, as MLflow and Weights & Biases list it.

    Raises:
        InputError: if the package of a tracker cannot be imported, or the config has a visualizer that is
            built already.
    """
    for tracker in dict.fromkeys(names):
        _require(tracker)
        shown = config.get("visualizer") or {
            "type": "Visualizer",
            "vis_backends": [{"type": "LocalVisBackend"}],
        }
        if not isinstance(shown, dict):
            raise InputError(f"--log {tracker}: visualizer is a {type(shown).__name__}, expected a dict")
        own = shown.get("vis_backends") or []
        backends = list(own) if isinstance(own, (list, tuple)) else [own]
        part: dict[str, Any] = {"type": TRACKERS[tracker].backend}
        if tracker != "tensorboard":
            part["run"] = name
        config.visualizer = {**shown, "vis_backends": [*backends, part]}


def _require(tracker: str) -> None:
    _, module, package, _ = TRACKERS[tracker]
    try:
        found = import_module(module)
    except Exception as error:  # a broken installation raises anything
        raise InputError(
            f"--log {tracker}: {package} cannot be imported ({one_line(error)}); pip install {package}"
        ) from error
    if getattr(found, "__file__", None) is None:  # a folder of that name
        raise InputError(f"--log {tracker}: {package} is not installed; pip install {package}")


@VISBACKENDS.register_module()
class MLflowBackend(MLflowVisBackend):
    """MMEngine's ``MLflowVisBackend``, where MLflow itself would write.

    ``MLFLOW_TRACKING_URI`` and ``MLFLOW_EXPERIMENT_NAME`` hold; by default MLflow takes ``mlflow.db`` in the
    working directory (``mlruns`` before 3.7). MMEngine's writes a folder of files per run, which MLflow 3
    refuses, and opens a second run as the test ends. Parameters are what decides the result.

    Args:
        save_dir: the folder of the run's log.
        run: the run's name.
        kwargs: of MMEngine's.
    """

    def __init__(self, save_dir: str, run: str | None = None, **kwargs: Any) -> None:
        super().__init__(save_dir, run_name=run, **kwargs)
        self.given = kwargs

    def _init_env(self) -> None:
        import mlflow

        where: str = self.given.get("tracking_uri") or mlflow.get_tracking_uri()
        self._tracking_uri = where
        self._exp_name = self.given.get("exp_name") or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        try:
            super()._init_env()
        except (mlflow.MlflowException, ImportError) as error:
            raise InputError(
                f"MLflow cannot write to {where} ({one_line(error)}); MLFLOW_TRACKING_URI names another "
                "place, and 'pip install mlflow' brings the databases that mlflow-skinny lacks"
            ) from error

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record what decides the result as parameters, and the whole config as a file."""
        self.cfg = config
        parameters = flat(decisive(config))
        self._mlflow.log_params({key: str(value)[:LONGEST_PARAMETER] for key, value in parameters.items()})
        self._mlflow.log_text(config.pretty_text, "config.py")

    def close(self) -> None:
        """Record the work dir's small files and end the run, once."""
        if hasattr(self, "_mlflow") and self._mlflow.active_run() is not None:
            super().close()


@VISBACKENDS.register_module()
class WandbBackend(WandbVisBackend):
    """MMEngine's ``WandbVisBackend``, with steps and epochs as axes, and without a copy of one's code.

    The variables of Weights & Biases hold, such as ``WANDB_MODE=offline`` and ``WANDB_PROJECT``. The config
    is what decides the result.

    Args:
        save_dir: the folder of the run's log.
        run: the run's name.
        kwargs: of MMEngine's.
    """

    def __init__(self, save_dir: str, run: str | None = None, **kwargs: Any) -> None:
        given = {**({"name": run} if run else {}), **(kwargs.pop("init_kwargs", None) or {})}
        super().__init__(save_dir, init_kwargs=given, **kwargs)
        self._drawn: set[str] = set()

    def _init_env(self) -> None:
        import wandb

        try:
            super()._init_env()
        except wandb.Error as error:
            raise InputError(
                f"Weights & Biases: {str(error).rstrip('.')}; WANDB_MODE=offline needs no account"
            ) from error

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record what decides the result."""
        self._wandb.config.update(decisive(config))

    @force_init_env
    def add_scalars(
        self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Record what was logged at a training step, or after the validation of an epoch."""
        axis = "iter" if "iter" in scalar_dict else "epoch"
        for name in scalar_dict.keys() - self._drawn - {axis}:
            self._wandb.define_metric(name, step_metric=axis)
            self._drawn.add(name)
        self._wandb.log({**scalar_dict, axis: step}, commit=self._commit)


def commands_that_show(names: Sequence[str], work_dir: str | Path) -> list[str]:
    """Return the commands that show what trackers were told; Weights & Biases says so itself."""
    return [
        TRACKERS[name].shown_by.format(work_dir) for name in dict.fromkeys(names) if TRACKERS[name].shown_by
    ]
