"""Data at rest: scenes, and the sources that read them; importing this registers the zoo's sources."""

from m3amba_zoo.scenes import (
    augsburg,
    berlin,
    houston2013,
    idtrees,
    manifest,
    muufl,
    simulated,
    terramind,
    trento,
)
from m3amba_zoo.scenes.scene import LandClass, Raster, Scene
from m3amba_zoo.scenes.source import Source, data_roots

__all__ = [
    "LandClass",
    "Raster",
    "Scene",
    "Source",
    "augsburg",
    "berlin",
    "data_roots",
    "houston2013",
    "idtrees",
    "manifest",
    "muufl",
    "simulated",
    "terramind",
    "trento",
]
