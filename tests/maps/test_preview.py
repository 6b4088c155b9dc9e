"""The picture of a class map: names stay names, and the page ends where the legend does."""

import numpy as np
import pytest
from matplotlib.image import imread
from tiny_rasters import CRS, ORIGIN

from m3amba_zoo.maps.preview import write_picture
from m3amba_zoo.scenes.scene import LandClass

MAP = np.ones((40, 50), np.uint8)


@pytest.mark.filterwarnings("error")
def test_the_page_is_as_wide_as_the_names_and_has_no_empty_side(tmp_path):
    def ink(name):
        write_picture(tmp_path / "p.png", MAP, [LandClass(name, (0, 114, 178))], CRS, ORIGIN)
        picture = imread(tmp_path / "p.png")[..., :3]
        rows, columns = np.nonzero((picture < 0.9).any(-1))
        return picture.shape[1], columns.max(), rows, columns

    for name in ("c", "roof $\\foo$ and $a_b$, which no formula is"):
        width, last, rows, columns = ink(name)
        assert width - last < 40
    assert width > 1.4 * ink("c")[0], "of a long name the page is wider"
    # bar and arrow lie below the map, not beside it
    below = columns[rows > rows.max() - 20]
    assert below.max() < width / 2
