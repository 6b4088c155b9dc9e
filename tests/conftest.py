"""A source of small scenes for tests above the scenes themselves; one thread a test process."""

import os
import signal

# Tests run side by side (pytest -n 2): more threads than cores would wait for each other.
for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Tests send these signals, and a test run in the background or under nohup ignores them.
for name, default in {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}.items():
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        signal.signal(getattr(signal, name), default)

import numpy as np

from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.source import Source

CLASSES = (
    LandClass("water", (0, 0, 255)),
    LandClass("trees", (0, 128, 0)),
    LandClass("roofs", (200, 30, 30)),
)


@SOURCES.register_module(name="tiny")
class TinySource(Source):
    """Three scenes of separable classes: `hsi` float32 with one nodata pixel, `sar` int16.

    Labels are vertical stripes of the three classes; the upper half trains, the lower half tests, four
    unlabelled rows lie between.
    """

    classes = CLASSES

    def __init__(self, height: int = 20, width: int = 21, bands: int = 6, scenes: int = 3, root=None) -> None:
        super().__init__(root)
        self.shape, self.bands, self.count = (height, width), bands, scenes

    def load(self, rasters: bool = True) -> list[Scene]:
        """Make the scenes; the same at every call."""
        return [self._scene(index, rasters) for index in range(self.count)]

    def _scene(self, index: int, rasters: bool) -> Scene:
        height, width = self.shape
        generator = np.random.default_rng(index)
        labels = np.broadcast_to(np.arange(width) * 3 // width + 1, self.shape).astype(np.uint8).copy()
        middle = height // 2
        spectra = generator.uniform(100, 200, (len(CLASSES) + 1, self.bands)).round()
        spectra[1:] += 1000 * np.arange(1, 4)[:, None]
        hsi = spectra[labels].transpose(2, 0, 1) + generator.normal(0, 20, (self.bands, height, width))
        hsi[:, 0, 0] = -9999
        sar = (labels[None] * 50 + generator.normal(0, 10, (2, height, width))).astype(np.int16)
        labels[middle - 2 : middle + 2] = 0
        rows = np.arange(height)[:, None]
        given = {
            "hsi": Raster(hsi.astype(np.float32), nodata=-9999, unit="counts"),
            "sar": Raster(sar, unit="counts"),
        }
        official = {"train": (labels > 0) & (rows < middle), "test": (labels > 0) & (rows >= middle)}
        return Scene(f"tiny{index}", given if rasters else {}, labels, CLASSES, official=official)
