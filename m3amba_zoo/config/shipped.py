"""The configs that come with the package, found by name.

An installed package holds them in its folder ``configs``. In a checkout they lie beside the package.
"""

from __future__ import annotations

from pathlib import Path

from m3amba_zoo.errors import InputError, close_names

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED, _CHECKOUT = _PACKAGE / "configs", _PACKAGE.parent / "configs"
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
SCHEME = "m3amba_zoo::"
"""``_base_ = "m3amba_zoo::NAME"`` inherits from a config of the package."""
DATASET_VARIABLE = "M3AMBA_DATASET"
"""Recipes contain ``{{$M3AMBA_DATASET:...}}`` in place of the dataset's file."""
DATASET_FOLDER = Path("_base_", "datasets")
SHARED = ("windows", "hyperspectral")  # what datasets inherit from
OWN_SCENE = "own_scene"  # the dataset that reads a scene.yaml
OWN_SPLIT = "own_split"  # the same with the split.npz beside it
PLANS = ("leaderboard", "encoders")  # of tools/leaderboard.py; they train nothing themselves


def leaf_configs() -> dict[str, Path]:
    """Return the configs that need no other option, and M3amba's recipes, by name."""
    return {name: path for name, path in _files(SHIPPED).items() if name not in PLANS}


def baseline_configs() -> dict[str, Path]:
    """Return the other models' recipes by name, each for every dataset (``--data``)."""
    return _files(SHIPPED / "baselines")


def encoder_configs() -> dict[str, Path]:
    """Return the recipes for datasets with the features of a pretrained encoder, by name."""
    return _files(SHIPPED / "encoders")


def dataset_configs(folder: Path = SHIPPED / DATASET_FOLDER) -> dict[str, Path]:
    """Return the datasets of recipes by name, as ``--data`` takes them."""
    return {
        name: path for name, path in _files(folder).items() if name not in (*SHARED, OWN_SCENE, OWN_SPLIT)
    }


def recipes() -> list[str]:
    """Return the names of the configs that take any dataset, a user's own scene too."""
    own = [name for name, path in leaf_configs().items() if DATASET_VARIABLE in path.read_text("utf-8")]
    return [*own, *baseline_configs()]


def find_config(given: str | Path) -> Path:
    """Return the path of a config that is given by its path, or by its name in the package.

    A file that exists by that path goes before a name.

    Raises:
        InputError: if there is neither; the message has close names.
    """
    path, known = Path(given), {**leaf_configs(), **baseline_configs(), **encoder_configs()}
    if path.is_file():
        return path
    if str(given) in known:
        return known[str(given)]
    hint = close_names(path.stem, known) or "'m3amba configs' lists those that come with the package"
    raise InputError(f"{given}: no such config; {hint}")


def find_base(given: str) -> Path:
    """Return the path of what ``m3amba_zoo::`` names: a file of the folder, or a config's name.

    Raises:
        InputError: if there is neither; the message has close names.
    """
    inside = SHIPPED / given.removeprefix(SCHEME)
    return inside if inside.is_file() else find_config(given.removeprefix(SCHEME))


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py"))}
