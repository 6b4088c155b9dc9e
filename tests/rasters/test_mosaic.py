"""Parts of a virtual mosaic that no source covers are said, or missing where it has nodata."""

import numpy as np
import pytest
from tiny_rasters import write_raster

from m3amba_zoo.rasters.opening import open_raster

SOURCE = (
    '<SimpleSource><SourceFilename relativeToVRT="1">tile.tif</SourceFilename>'
    '<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="10" ySize="4"/>'
    '<DstRect xOff="{}" yOff="0" xSize="10" ySize="4"/></SimpleSource>'
)


@pytest.mark.parametrize(
    ("places", "nodata", "says", "missing"),
    [
        ((0, 20), "", "no source covers 33.3% of it, where GDAL reads 0", 0),
        ((0, 20), "<NoDataValue>0</NoDataValue>", None, 40),
        ((0, 10, 20), "", None, 0),
        ((0, 8, 20), "", "no source covers 6.7% of it", 0),  # overlaps count once
    ],
)
def test_gaps_of_a_mosaic(tmp_path, places, nodata, says, missing):
    write_raster(tmp_path / "tile.tif", np.ones((1, 4, 10), np.int16), None)
    sources = "".join(map(SOURCE.format, places))
    path = tmp_path / "mosaic.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="30" rasterYSize="4"><VRTRasterBand dataType="Int16" band="1">{nodata}'
        f"{sources}</VRTRasterBand></VRTDataset>"
    )
    raster = open_raster(str(path))
    gaps = [remark for remark in raster.remarks if "source" in remark]
    assert [says in gap for gap in gaps] == ([True] if says else [])
    assert raster.read().missing().sum() == missing
