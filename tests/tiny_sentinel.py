"""Small scenes of Sentinel-1 and Sentinel-2, and a tiny random Galileo, for tests of encoded rasters."""

import numpy as np
from rasterio.transform import from_origin

from m3amba_zoo.rasters import Raster
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.source import Source
from m3amba_zoo.scenes.terramind import S2_BANDS, S2_WAVELENGTHS

CLASSES = tuple(LandClass(name, (k, 2 * k, 100)) for k, name in enumerate(("water", "trees", "crops")))
PLACE = from_origin(600_000, 4_000_000, 10, 10)
GALILEO = {
    "type": "GalileoEncoder",
    "weights": "random",
    "size": {"dim": 32, "depth": 1, "heads": 2},
    "patch": 4,
}
SHAPE = (44, 37)


def sentinel_rasters(seed=0, shape=SHAPE):
    """Return twelve bands of Sentinel-2 and two of Sentinel-1 of three stripes of land."""
    generator = np.random.default_rng(seed)
    labels = np.broadcast_to(np.arange(shape[1]) * 3 // shape[1], shape)
    spectra = np.array([400.0, 1500.0, 3000.0])[:, None] * np.linspace(0.8, 1.4, 12)
    optical = spectra[labels].transpose(2, 0, 1) + generator.normal(0, 120, (12, *shape))
    radar = np.array([-20.0, -8.0, -12.0])[labels] + generator.normal(0, 1, (2, *shape))
    return {
        "s2": Raster(
            optical.round().astype(np.int16),
            S2_BANDS,
            np.array(S2_WAVELENGTHS),
            unit="reflectance x 10000",
            path="s2.tif",
        ),
        "s1": Raster(radar.astype(np.float32), ("VV", "VH"), unit="dB", path="s1.tif"),
    }


@SOURCES.register_module(name="tiny_sentinel", force=True)
class TinySentinel(Source):
    """Two scenes of separable classes; the upper rows train, the lower ones test."""

    classes = CLASSES

    def __init__(self, scenes=1, root=None):
        super().__init__(root)
        self.count = scenes

    def load(self, rasters=True):
        return [self.scene(index, rasters) for index in range(self.count)]

    def scene(self, index, rasters):
        height, width = SHAPE
        labels = np.broadcast_to(np.arange(width) * 3 // width + 1, SHAPE).astype(np.uint8).copy()
        labels[18:26] = 0
        rows = np.arange(height)[:, None]
        official = {"train": (labels > 0) & (rows < 20), "test": (labels > 0) & (rows > 20)}
        given = sentinel_rasters(index) if rasters else {}
        return Scene(f"tiny{index}", given, labels, CLASSES, "EPSG:32617", PLACE, official)


def encoded(**options):
    """Return the config of a source with features."""
    return {
        "type": "encoded",
        "source": {"type": "tiny_sentinel"},
        "encoder": GALILEO,
        "name": "galileo",
        "window": 8,
        **options,
    }
