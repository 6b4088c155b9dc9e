"""The simulator of co-registered scenes: a plan of classes, the ground they make, sensors that record it."""

from m3amba_zoo.scenes.simulation.sensors import DsmSpec, HsiSpec, LidarSpec, SarSpec
from m3amba_zoo.scenes.simulation.simulate import SensorSpec, simulate_scene

__all__ = ["DsmSpec", "HsiSpec", "LidarSpec", "SarSpec", "SensorSpec", "simulate_scene"]
