"""A paper's figure: names stay names, panels wrap before they are too small, the legend ends the page."""

import numpy as np
import pytest
from rasterio.transform import from_origin

from m3amba_zoo.maps.furniture import Place
from m3amba_zoo.visualization.paper import Row, draw_figure, save_figure
from m3amba_zoo.visualization.sheet import Panel

LEGEND = [("roof $\\foo$", (0, 114, 178)), ("_grass $a_b$", (230, 159, 0))]
PLACE = Place("EPSG:32617", from_origin(500_000, 4_000_000, 2, 2), (120, 150))


def row(count):
    image = np.zeros((120, 150, 4), np.uint8)
    return Row("scene $\\x$", [Panel(f"panel {number} $\\foo$", image) for number in range(count)], PLACE)


@pytest.mark.filterwarnings("error")
def test_dollars_and_backslashes_in_names_are_drawn_as_they_are(tmp_path):
    figure = draw_figure([row(2)], LEGEND, 181)
    for suffix in ("svg", "pdf", "png"):
        save_figure(figure, str(tmp_path / f"f.{suffix}"))
    drawn = (tmp_path / "f.svg").read_text()
    for name in ("roof $\\foo$", "_grass $a_b$", "panel 1 $\\foo$", "scene $\\x$"):
        assert name in drawn


@pytest.mark.parametrize(("count", "width", "across"), [(4, 181, 4), (6, 181, 3), (6, 88, 2), (1, 88, 1)])
def test_panels_are_wrapped_before_they_are_too_small_for_print(count, width, across):
    axes = draw_figure([row(count)], LEGEND, width).axes
    assert len(axes) == count
    assert len({round(one.get_position().x0, 3) for one in axes}) == across


@pytest.mark.parametrize("entries", [2, 40])
def test_the_page_ends_below_the_legend(entries):
    figure = draw_figure([row(4)], [(f"class {number}", (0, 0, 0)) for number in range(entries)], 181)
    box = figure.legends[0].get_window_extent()
    assert box.y1 < figure.axes[0].get_window_extent().y0
    assert 0 <= box.y0 / figure.dpi < 0.1


def test_a_figure_of_rasters_alone_has_no_legend():
    assert draw_figure([row(2)], [], 181).legends == []


@pytest.mark.parametrize("width", [88, 181])
def test_coordinates_are_two_or_more_on_each_axis(width):
    figure = draw_figure([row(4)], LEGEND, width, coordinates=True)
    for axes in figure.axes:
        for axis, (start, end) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = axis.get_majorticklocs()
            assert len(ticks) >= 2
            assert min(start, end) < ticks.min()
            assert ticks.max() < max(start, end)
