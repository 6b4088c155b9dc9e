"""The source ``simulated``: scenes made from a seed, for demos and tests without a download."""

from __future__ import annotations

from collections.abc import Mapping

from m3amba_zoo.errors import InputError
from m3amba_zoo.registry import SOURCES
from m3amba_zoo.scenes.houston2013 import Houston2013
from m3amba_zoo.scenes.s2fl import Augsburg
from m3amba_zoo.scenes.scene import LandClass, Scene
from m3amba_zoo.scenes.simulation import HsiSpec, LidarSpec, SarSpec, SensorSpec, simulate_scene
from m3amba_zoo.scenes.source import Source

# class table, hyperspectral sensor, the second modality
KINDS: dict[str, tuple[tuple[LandClass, ...], HsiSpec, Mapping[str, SensorSpec]]] = {
    "houston-like": (Houston2013.classes, HsiSpec(144, 380, 1050), {"lidar": LidarSpec(1)}),
    "augsburg-like": (Augsburg.classes, HsiSpec(180, 400, 2500), {"sar": SarSpec(4)}),
}


@SOURCES.register_module(name="simulated")
class Simulated(Source):
    """One simulated scene in the manner of a public one; no files are read.

    ``houston-like`` has ``hsi`` (144 bands, 380 to 1050 nm, uint16 reflectance x 10000), ``lidar`` (1
    channel, float32 m) and the 15 classes of Houston 2013. ``augsburg-like`` has ``hsi`` (180 bands, 400 to
    2500 nm), ``sar`` (4 channels, float32 linear power) and the 7 classes of Augsburg.
    """

    simulated = True

    def __init__(
        self,
        kind: str = "houston-like",
        height: int = 96,
        width: int = 256,
        seed: int = 0,
        bands: int | None = None,
    ) -> None:
        """Describe the scene; ``load`` makes it.

        Args:
            kind: ``houston-like`` (HSI and LiDAR) or ``augsburg-like`` (HSI and SAR).
            height: rows.
            width: columns.
            seed: of all random draws; 0 or more.
            bands: another number of hyperspectral bands over the same range; None keeps the sensor's own.

        Raises:
            InputError: if an argument is out of range.
        """
        super().__init__()
        if kind not in KINDS:
            raise InputError(f"source simulated: kind is '{kind}', expected {' or '.join(map(repr, KINDS))}")
        smallest = {"height": 16, "width": 16, "seed": 0, "bands": 1}
        given = {"height": height, "width": width, "seed": seed, "bands": 1 if bands is None else bands}
        for argument, value in given.items():
            if value < smallest[argument]:
                raise InputError(
                    f"source simulated: {argument} is {value}, expected {smallest[argument]} or more"
                )
        self.classes, hsi, second = KINDS[kind]
        if bands is not None:
            hsi = HsiSpec(bands, hsi.first_nm, hsi.last_nm)
        self._shape, self._seed = (height, width), seed
        self._modalities: dict[str, SensorSpec] = {"hsi": hsi, **second}
        self.title = f"simulated_{kind}_{height}x{width}_seed{seed}"
        self.title += "" if bands is None else f"_{bands}bands"

    def load(self, rasters: bool = True) -> list[Scene]:
        """Make the scene; labels and masks are the same without rasters; see ``Source.load``.

        Raises:
            InputError: if the scene is too small for its classes.
        """
        modalities = self._modalities if rasters else {}
        return [simulate_scene(self.title, self.classes, self._shape, modalities, self._seed)]

    def channels(self) -> dict[str, int]:
        """Count the sensors' bands."""
        return {name: sensor.bands for name, sensor in self._modalities.items()}

    def num_classes(self) -> int:
        """Count the class table's entries."""
        return len(self.classes)
