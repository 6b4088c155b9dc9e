"""Starts a training from another model's weights: the config's ``init_from``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from rich import get_console

from m3amba_zoo.config.options import INIT_FROM
from m3amba_zoo.errors import InputError, close_names
from m3amba_zoo.models.window_classifier import WindowClassifier
from m3amba_zoo.transfer.facts import describe_model
from m3amba_zoo.transfer.source import open_source, read_wavelengths
from m3amba_zoo.transfer.weights import transfer_weights

HERE = "the config"


class InitFromHook(Hook):
    """Transfers weights once, before the first step: after the data's checks, before what is fitted on it.

    What was done is printed, logged, and kept in checkpoints and ``metrics.json``.

    Args:
        weights: the name of a published model, a card's folder, a work dir, or a weights file.
        config: of a weights file; None where it lies beside.
        fresh: patterns of names of parameters that start anew.
        source_wavelengths: by modality, where the source does not say: one number a band, or the first and
            the last of evenly spaced bands; in nm.
        wavelengths: the same of the data at hand, where its files do not say.

    Raises:
        InputError: there is no such model.
    """

    priority = 5  # after DataCheckHook, before FitPreprocessorHook

    def __init__(
        self,
        weights: str,
        config: str | None = None,
        fresh: Sequence[str] = (),
        source_wavelengths: Mapping[str, Any] | None = None,
        wavelengths: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = open_source(weights, config)
        self.fresh = fresh
        self.source_wavelengths, self.wavelengths = source_wavelengths or {}, wavelengths or {}

    @classmethod
    def from_config(cls, init_from: Any) -> InitFromHook:
        """Build it from a config's ``init_from``: its arguments as a dict, or ``weights`` alone.

        Raises:
            InputError: it is neither, or as the constructor does.
        """
        given = {"weights": init_from} if isinstance(init_from, str) else init_from
        known = ("weights", "config", "fresh", "source_wavelengths", "wavelengths")
        if not isinstance(given, Mapping) or not isinstance(given.get("weights"), str):
            raise InputError(
                f"init_from is {init_from!r}, expected a name or path, or dict(weights=..., ...)"
            )
        for key in given:
            if key not in known:
                hint = close_names(key, known) or f"expected {', '.join(known)}"
                raise InputError(f"init_from has no '{key}'; {hint}")
        return cls(**given)

    def before_train(self, runner: Runner) -> None:
        """Transfer the weights.

        Raises:
            InputError: they do not fit, or were trained on pixels that this run's split tests.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(model, WindowClassifier):
            raise InputError(f"init_from: model is a {type(model).__name__}, expected a WindowClassifier")
        data = runner.train_dataloader.dataset.metainfo["data"]
        self._check_split(data)
        rasters = data.scenes[0].rasters
        wavelengths = {
            m: rasters[m].wavelengths
            if (given := read_wavelengths(self.wavelengths.get(m), n, f"of '{m}'")) is None
            else given
            for m, n in model.in_channels.items()
        }
        report = transfer_weights(
            model,
            runner.cfg.model.to_dict(),
            self.source.trained.model.state_dict(),
            self.source.facts(self.source_wavelengths),
            describe_model(HERE, model, wavelengths, [entry.name for entry in data.classes]),
            self.fresh,
        )
        runner.logger.info(report.table())
        if is_main_process():
            get_console().print(report.table(), markup=False, highlight=False, soft_wrap=True)
        record = {"weights": self.source.name, "sha256": self.source.sha256, **report.record()}
        if trained_on := self.source.trained_on():
            record["trained_on"] = trained_on
        runner.message_hub.update_info(INIT_FROM, record)

    def _check_split(self, data: Any) -> None:
        trained, split = self.source.trained_on(), data.split
        if trained.get("name") == data.name and trained.get("sha256") != split.sha256:
            raise InputError(
                f"{self.source.name}: trained on split '{trained['split']}' of {data.name} (sha256 "
                f"{trained['sha256'][:8]}), but the config has '{split.name}' ({split.sha256[:8]}): pixels "
                "that trained it would be tested"
            )
