"""The simulator of co-registered scenes."""

from m3amba_zoo.scenes.simulation.elevation import DsmSpec, LidarSpec
from m3amba_zoo.scenes.simulation.hyperspectral import HsiSpec
from m3amba_zoo.scenes.simulation.radar import SarSpec
from m3amba_zoo.scenes.simulation.simulate import SensorSpec, simulate_scene

__all__ = ["DsmSpec", "HsiSpec", "LidarSpec", "SarSpec", "SensorSpec", "simulate_scene"]
