"""Data at rest: scenes, and the sources that read them. Importing this package registers the sources."""

from m3amba_zoo.scenes import encoded as encoded
from m3amba_zoo.scenes import houston2013 as houston2013
from m3amba_zoo.scenes import idtrees as idtrees
from m3amba_zoo.scenes import manifest as manifest
from m3amba_zoo.scenes import mmlsv2 as mmlsv2
from m3amba_zoo.scenes import muufl as muufl
from m3amba_zoo.scenes import s2fl as s2fl
from m3amba_zoo.scenes import simulated as simulated
from m3amba_zoo.scenes import terramind as terramind
from m3amba_zoo.scenes import trento as trento
from m3amba_zoo.scenes.scene import LandClass, Raster, Scene
from m3amba_zoo.scenes.source import Source, data_roots

__all__ = ["LandClass", "Raster", "Scene", "Source", "data_roots"]
