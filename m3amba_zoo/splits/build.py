"""From a config's ``split=dict(...)`` to a split that can be trained and tested on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SPLITS
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.random_parts import deal_at_random
from m3amba_zoo.splits.split import PARTS, Split
from m3amba_zoo.splits.stratify import class_counts
from m3amba_zoo.splits.validation import hold_out_validation


def build_split(cfg: Mapping[str, Any], scenes: Sequence[Scene]) -> Split:
    """Build a split from ``dict(type=maker, ..., val=dict(fraction=..., guard=..., seed=...))``.

    ``val`` is optional and holds validation pixels out of the training pixels (``hold_out_validation``);
    ``random=dict(seed=...)`` is too, and deals the parts out anew at random (``deal_at_random``).

    Raises:
        InputError: no such maker, a wrong or missing option, masks that do not fit the scenes, no training
            or no test pixel, or a class without training pixels.
    """
    options = dict(cfg)
    val, random = options.pop("val", None), options.pop("random", None)
    if not isinstance(options.get("type"), str):
        raise InputError(
            f"the split is {dict(cfg)}; type=NAME is expected, one of {', '.join(SPLITS.names())}"
        )
    SPLITS.check(options["type"])
    arguments = {key: value for key, value in options.items() if key != "type"}
    _check_options(f"split '{options['type']}'", SPLITS.get(options["type"]), arguments, {"scenes": scenes})
    split = SPLITS.build(options, default_args={"scenes": scenes})
    check_usable(split, scenes)
    if random is not None:
        _check_options("the split's random", deal_at_random, random, {"split": split, "scenes": scenes})
        split = deal_at_random(split, scenes, **random)
    if val is not None:
        _check_options("the split's val", hold_out_validation, val, {"split": split, "scenes": scenes})
        split = hold_out_validation(split, scenes, **val)
    return split


def check_usable(split: Split, scenes: Sequence[Scene]) -> None:
    """Raise InputError unless the split fits the scenes, every class trains and some pixel tests."""
    split.check(scenes)
    counts = {part: class_counts(scenes, [mask for _, mask in split.parts(scenes, part)]) for part in PARTS}
    for part, wanted in (("train", "labelled training"), ("test", "test")):
        if not counts[part].any():
            raise InputError(f"split '{split.name}' has no {wanted} pixel in the {len(scenes)} scenes given")
    labelled = class_counts(scenes, [scene.labelled for scene in scenes])
    lacking = [
        f"'{land_class.name}' (0 train, {counts['val'][index]} validation and {counts['test'][index]} test "
        f"of {labelled[index]} labelled pixels)"
        for index, land_class in enumerate(scenes[0].classes)
        if counts["train"][index] == 0
    ]
    if lacking:
        raise InputError(f"split '{split.name}' leaves without training pixels: class {', '.join(lacking)}")


def _check_options(what: str, maker: Callable, options: Any, given: Mapping[str, Any]) -> None:
    if not isinstance(options, Mapping):
        raise InputError(f"{what} is {options!r}; a dict of options is expected")
    signature = inspect.signature(maker)
    known = ", ".join(name for name in signature.parameters if name not in given)
    try:
        signature.bind(**given, **options)
    except TypeError as error:
        raise InputError(f"{what}: {error}; its options are {known or 'none'}") from error
