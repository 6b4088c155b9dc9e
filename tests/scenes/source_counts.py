"""What every source promises of its bands and classes."""

from m3amba_zoo.scenes.scene import Scene
from m3amba_zoo.scenes.source import Source


def check_counts(source: Source, scenes: list[Scene]) -> None:
    """Compare what a source says of its bands and classes with the scenes that it loaded."""
    for scene in scenes:
        assert list(source.channels().items()) == [(name, len(r.data)) for name, r in scene.rasters.items()]
        assert source.num_classes() == len(scene.classes)
