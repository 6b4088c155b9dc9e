"""The simulator's parts: a plan of classes, the ground they make, sensors that record it."""

from m3amba_zoo.scenes.simulation.sensors import DsmSpec, HsiSpec, LidarSpec, SarSpec, SensorSpec

__all__ = ["DsmSpec", "HsiSpec", "LidarSpec", "SarSpec", "SensorSpec"]
