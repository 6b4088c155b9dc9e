"""Whether the config that ``m3amba new scene`` is about to write would train."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from m3amba_zoo.config import read_config
from m3amba_zoo.config.own_config import Recipe, Training
from m3amba_zoo.errors import InputError
from m3amba_zoo.models import WindowClassifier
from m3amba_zoo.registry import MODELS


def require_trains(
    recipe: Recipe, config_text: str, manifest: tuple[str, str], training: Training | None, sized: bool
) -> None:
    """Complete the config, build its network, and let it see the smallest batch of the training.

    A network with an encoder is not built: its weights may be elsewhere.

    Args:
        recipe: that the config inherits from.
        config_text: the config.
        manifest: name and text of the scene's file, with absolute paths.
        training: its size; None for a classical classifier.
        sized: whether a user stated some of its size; what the recipe says is known to train.

    Raises:
        InputError: if it cannot be completed or built, or the network cannot learn from such a batch.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "config.py")
        path.write_text(config_text, encoding="utf-8")
        Path(folder, manifest[0]).write_text(manifest[1], encoding="utf-8")
        try:
            config = read_config(path)
            if training is None or config.model.get("encoder") is not None:
                return
            model = MODELS.build(config.model)
            if sized and isinstance(model, WindowClassifier):
                windows = training.windows % training.batch or training.batch
                _see(model, windows, config.train_dataloader.dataset.window)
        except InputError as error:
            raise InputError(f"--model {recipe.name}: {str(error).replace(f'{path}: ', '')}") from error


def _see(model: WindowClassifier, windows: int, side: int) -> None:
    """Run a network on so many windows of noise, as training does."""
    noise = {name: torch.randn(windows, bands, side, side) for name, bands in model.treated_channels.items()}
    try:
        with torch.no_grad():
            model.train()(noise)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):  # torch's words
            raise
        raise InputError(
            "a batch has one window, but batch norm needs two; expected a --batch-size and "
            "--windows-per-epoch that leave no single one"
        ) from error
