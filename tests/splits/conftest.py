import pytest
from label_scenes import make_scene, patchy

from m3amba_zoo.scenes.scene import Scene


@pytest.fixture(scope="session")
def one_scene() -> list[Scene]:
    return [make_scene("town", patchy(0, (100, 130), 6), official=True)]


@pytest.fixture(scope="session")
def many_scenes() -> list[Scene]:
    return [make_scene(f"plot{index}", patchy(index, (18, 20), 5), official=True) for index in range(14)]
