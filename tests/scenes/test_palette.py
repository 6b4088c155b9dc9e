"""Colours of classes that have none."""

import numpy as np

from m3amba_zoo.scenes.palette import SAFE_COLORS, differences, distinct_color, safe_color


def test_colours_are_told_apart_also_without_red_or_green_cones():
    colors = np.array([distinct_color(index) for index in range(20)])
    for index, color in enumerate(colors):
        others = np.delete(colors, index, axis=0)
        # the two greens that could not be told apart differed by 0.05
        assert differences(others, color).min() > 0.12
        assert differences(np.array([[255, 255, 255], [0, 0, 0]]), color).min() > 0.12


def test_black_and_white_differ_by_one_and_red_and_green_by_less_without_green_cones():
    white, black, red, green = np.array([[255] * 3, [0] * 3, [200, 60, 0], [110, 110, 0]])
    np.testing.assert_allclose(differences(white[None], black), [1], atol=1e-6)
    assert differences(red[None], green)[0] < np.linalg.norm((red - green) / 255)


def test_classes_without_colours_have_those_of_the_report_and_never_two_alike():
    colors = [safe_color(index) for index in range(60)]
    assert tuple(colors[: len(SAFE_COLORS)]) == SAFE_COLORS
    assert len(set(colors)) == 60
