"""A reader under test: a small valid file made by code, how it is changed, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from workshop.fuzzing.mutations import Mutation, in_bytes


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
        name: as ``tools/fuzz.py`` takes it.
        make: writes a valid file, with what has to lie beside it, into an empty folder, and returns its path.
        read: reads the file as a command does; its result does not count.
        mutations: of the file's bytes, each as likely as the others.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    mutations: Sequence[Mutation] = (in_bytes,)

    def mutated(self, valid: bytes, seed: int, number: int) -> bytes:
        """Return the input of a number: the same for the same seed, whatever was read before."""
        random = Random(f"{seed}/{self.name}/{number}")
        return random.choice(self.mutations)(random, valid)
