"""A split: which pixel trains, validates and tests. It is saved as one .npz; results name its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3amba_zoo.errors import InputError
from m3amba_zoo.reading import check_schema, read_arrays, read_json
from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.splits.places import SceneGroups
from m3amba_zoo.system import whole_file

PARTS = ("train", "val", "test")
Masks = Mapping[str, NDArray[np.bool_]]
_GROUPS = {
    "type": "object",
    "required": ["numbers"],
    "additionalProperties": False,
    "properties": {
        "numbers": {"type": "object", "additionalProperties": {"type": "integer"}},
        "guard": {"type": "number", "minimum": 0},
    },
}
_LABELS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["sha256", "classes"],
        "properties": {
            "sha256": {"type": "string"},
            "classes": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
    },
}
"""What ``record_labels`` returns (JSON Schema)."""
HEADER = {
    "type": "object",
    "required": ["name", "sha256"],
    "properties": {
        "name": {"type": "string"},
        "sha256": {"type": "string"},
        "groups": _GROUPS,
        "labels": _LABELS,
    },
}
"""What a split's file says beside its masks (JSON Schema)."""
SHOWN = 4  # classes


@dataclass(frozen=True)
class HeldOut:
    """What holding out validation pixels reached.

    Attributes:
        asked: the share of the training pixels to hold out.
        share: the share that was held out; pixels that ``step`` then leaves out count.
        classes_without: the training classes without a validation pixel.
    """

    asked: float
    share: float
    classes_without: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Boolean masks ``(H, W)`` by scene and part (``train``, ``val``, ``test``) that never overlap.

    Attributes:
        name: says how it was made, for example ``official`` or ``blocks-size32-guard16-seed0``.
        masks: ``masks[scene_name][part]``; ``val`` may be all False.
        groups: which scenes train or test together, of a split by scene.
        held_out: what validation reached, if ``hold_out_validation`` made it.
        labels: what it was made for, of a split from a file: see ``record_labels``.
    """

    name: str
    masks: Mapping[str, Masks]
    groups: SceneGroups | None = None
    held_out: HeldOut | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for scene, parts in self.masks.items():
            if set(parts) != set(PARTS):
                raise InputError(
                    f"split '{self.name}', scene '{scene}': parts {sorted(parts)}, expected {PARTS}"
                )
            shapes = {mask.shape for mask in parts.values()}
            if len(shapes) > 1 or any(mask.dtype != bool or mask.ndim != 2 for mask in parts.values()):
                raise InputError(
                    f"split '{self.name}', scene '{scene}': the masks are "
                    f"{', '.join(f'{mask.dtype} {mask.shape}' for mask in parts.values())}; "
                    "boolean (H, W) of one size are expected"
                )
            if np.sum(list(parts.values()), axis=0).max(initial=0) > 1:
                raise InputError(f"split '{self.name}', scene '{scene}': a pixel is in two parts")

    @cached_property
    def sha256(self) -> str:
        """Hash of the masks (scene names, shapes, bits); the split's name and file format do not count."""
        return self._hash(PARTS)

    @cached_property
    def test_sha256(self) -> str:
        """Hash of the test masks alone: splits with one test part share it, whatever trains and validates."""
        return self._hash(("test",))

    def _hash(self, names: Sequence[str]) -> str:
        digest = hashlib.sha256()
        for scene in sorted(self.masks):
            for part in names:
                mask = self.masks[scene][part]
                digest.update(json.dumps([scene, part, list(mask.shape)]).encode())
                digest.update(np.packbits(mask).tobytes())
        return digest.hexdigest()

    def count(self, part: str) -> int:
        """Number of pixels in a part, over all scenes."""
        return sum(int(parts[part].sum()) for parts in self.masks.values())

    def check(self, scenes: Sequence[Scene]) -> None:
        """Raise InputError unless each scene has masks of its shape, on labelled pixels only."""
        foreign = self.masks.keys() - {scene.name for scene in scenes}
        if foreign:
            raise InputError(
                f"split '{self.name}' has masks for '{min(foreign)}', which is not among the "
                f"{len(scenes)} scenes given"
            )
        for scene in scenes:
            if scene.name not in self.masks:
                raise InputError(
                    f"split '{self.name}' has no masks for scene '{scene.name}' (it has: "
                    f"{', '.join(sorted(self.masks)) or 'none'})"
                )
            for part, mask in self.masks[scene.name].items():
                if mask.shape != scene.shape:
                    raise InputError(
                        f"split '{self.name}', scene '{scene.name}': the {part} mask has shape {mask.shape}, "
                        f"the scene {scene.shape}"
                    )
                if (mask & ~scene.labelled).any():
                    raise InputError(
                        f"split '{self.name}', scene '{scene.name}': {int((mask & ~scene.labelled).sum())} "
                        f"{part} pixels carry no label"
                    )

    def parts(self, scenes: Sequence[Scene], part: str) -> Iterator[tuple[Scene, NDArray[np.bool_]]]:
        """Yield each scene with its mask of a part."""
        for scene in scenes:
            yield scene, self.masks[scene.name][part]

    def save(self, path: str | Path, scenes: Sequence[Scene] = ()) -> None:
        """Write the split as one compressed ``.npz``, in full or not at all.

        Args:
            path: of the file.
            scenes: that it was made for; the file keeps a record of their labels.

        Raises:
            InputError: if the file cannot be written.
        """
        arrays = {
            f"{scene}/{part}": mask for scene, parts in self.masks.items() for part, mask in parts.items()
        }
        said: dict[str, Any] = {"name": self.name, "sha256": self.sha256}
        if self.groups is not None:
            said["groups"] = asdict(self.groups)
        if labels := record_labels(scenes) or self.labels:
            said["labels"] = labels
        header = np.array(json.dumps(said))
        with whole_file(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, header=header, **arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: str | Path) -> Split:
        """Read a split and check its hash.

        Raises:
            InputError: if the file is absent or not a split, or its masks do not match its hash.
        """
        what = "not a split made by 'm3amba split make'"
        arrays = read_arrays(path, what)
        if "header" not in arrays:
            raise InputError(f"{path}: {what}, it has no header")
        header = read_json(path, what, str(arrays.pop("header")).encode("utf-8", "replace"))
        check_schema(header, HEADER, path)
        masks: dict[str, dict[str, NDArray[np.bool_]]] = {}
        for key, mask in arrays.items():
            scene, _, part = key.rpartition("/")
            masks.setdefault(scene, {})[part] = mask
        name, sha256 = header["name"], header["sha256"]
        groups = SceneGroups(**header["groups"]) if "groups" in header else None
        try:
            split = cls(name, masks, groups, labels=header.get("labels", {}))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if split.sha256 != sha256:
            raise InputError(f"{path}: the masks' sha256 is {split.sha256}, but the file says {sha256}")
        return split


def record_labels(scenes: Sequence[Scene]) -> dict[str, dict[str, Any]]:
    """Return by scene the sha256 of its labels, and the number of pixels of each class."""
    found = {}
    for scene in scenes:
        digest = hashlib.sha256(json.dumps(list(scene.shape)).encode())
        digest.update(scene.labels.astype(np.uint8).tobytes())
        counts = np.bincount(scene.labels.ravel(), minlength=len(scene.classes) + 1)[1:]
        names = [entry.name for entry in scene.classes]
        found[scene.name] = {
            "sha256": digest.hexdigest(),
            "classes": dict(zip(names, counts.tolist(), strict=True)),
        }
    return found


def changed_labels(recorded: Mapping[str, Any], scenes: Sequence[Scene]) -> str:
    """Say how labels differ from those that were recorded; empty if they do not, or nothing was recorded."""
    now = record_labels([scene for scene in scenes if scene.name in recorded])
    other = [name for name, found in now.items() if found["sha256"] != recorded[name]["sha256"]]
    if not other:
        return ""
    before, after = recorded[other[0]]["classes"], now[other[0]]["classes"]
    changes = [
        f"'{name}' had {before.get(name, 0):,} pixels and has {after.get(name, 0):,}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name, 0) != after.get(name, 0)
    ]
    more = f" and {len(changes) - SHOWN} more classes" if len(changes) > SHOWN else ""
    told = ", ".join(changes[:SHOWN]) + more or "as many pixels of each class, but others"
    return f"the labels of scene '{other[0]}' have changed since the split was made ({told})"
