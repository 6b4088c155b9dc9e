"""How many windows are classified at once: as many as the free memory allows, without being told."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from m3amba_zoo.system.memory import available_bytes

# of what is free: operators need room that no tensor shows, and this process is not alone on the machine
SHARE = 0.5
# more windows at once do not classify faster: on CPUs measured with size t, the smallest (the benchmark's
# section scene); on GPUs an assumption
LARGEST = {"cpu": 16, "cuda": 256}
UNKNOWN_BYTES = 2**30  # taken as free where the system does not say

W = TypeVar("W")
R = TypeVar("R")


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of the tensors that operators make while it is active, on any device.

    Unlike the process's peak it sees no other thread and needs no reset; it misses what an operator takes
    and gives back inside.

    Attributes:
        now: bytes that are alive.
        peak: their largest sum so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in given | self._alive:  # else a view
                    self._count(storage)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        self._alive.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


class Batches(Generic[W, R]):
    """Runs a network on windows, some at once.

    Args:
        forward: from windows to a result each.
        bytes_of: what a window's values take before they become tensors.
        device: of the network.
        size: windows at once; None runs the first alone, measures what it takes and chooses from that.

    Attributes:
        size: windows at once; smaller than given once a GPU's memory did not suffice.
    """

    def __init__(
        self,
        forward: Callable[[list[W]], list[R]],
        bytes_of: Callable[[W], int],
        device: torch.device,
        size: int | None,
    ) -> None:
        self.size = size
        self._forward, self._bytes_of, self._device = forward, bytes_of, device

    def run(self, windows: Iterator[W]) -> Iterator[list[tuple[W, R]]]:
        """Yield batches of windows with their results, in order."""
        if self.size is None and (first := list(islice(windows, 1))):
            with TensorMemory() as memory:
                results = self._forward(first)
            # a window's values are there twice: as cut out, and stacked
            self.size = self._choose(memory.peak + 2 * self._bytes_of(first[0]))
            yield list(zip(first, results, strict=True))
        while batch := list(islice(windows, self.size)):
            yield list(zip(batch, self._in_parts(batch), strict=True))

    def _choose(self, bytes_a_window: int) -> int:
        free = available_bytes(self._device)
        affordable = int(SHARE * (UNKNOWN_BYTES if free is None else free)) // max(bytes_a_window, 1)
        return max(1, min(affordable, LARGEST.get(self._device.type, LARGEST["cpu"])))

    def _in_parts(self, batch: list[W]) -> list[R]:
        """Run a batch; half as many windows at once, from now on, each time a GPU's memory does not suffice.

        Raises:
            torch.cuda.OutOfMemoryError: not even one window fits.
        """
        results: list[R] = []
        while len(results) < len(batch):
            part = batch[len(results) : len(results) + (self.size or 1)]
            try:
                results += self._forward(part)
                continue
            except torch.cuda.OutOfMemoryError:
                if len(part) == 1:
                    raise
            self.size = len(part) // 2
            torch.cuda.empty_cache()  # here the failed attempt's tensors are gone
        return results
