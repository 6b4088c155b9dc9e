"""Files that lead to other files are followed if their name says so; offline, none leads to a server."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import h5py
import numpy as np
import pytest
from tiny_rasters import write_raster

from m3amba_zoo.errors import InputError
from m3amba_zoo.rasters.matlab import read_variable
from m3amba_zoo.rasters.opening import open_raster
from m3amba_zoo.scenes.vectors import read_shapes

WMS = (
    '<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}.png</ServerUrl></Service><DataWindow><UpperLeftX>0'
    "</UpperLeftX><UpperLeftY>9</UpperLeftY><LowerRightX>9</LowerRightX><LowerRightY>0</LowerRightY><TileLevel>"
    "0</TileLevel></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>"
)
SHAPES = (
    '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{url}/a.geojson</SrcDataSource>'
    "</OGRVRTLayer></OGRVRTDataSource>"
)
FEATURES = (
    '<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" '
    'xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="a {url}/a?service=WFS&amp;version=2.0.0&amp;request=DescribeFeatureType&amp;'
    'typeName=b">'
    '<wfs:member><b gml:id="b.1"><c>1</c></b></wfs:member></wfs:FeatureCollection>'
)
BARE = """
import sys
import m3amba_zoo.rasters, pyogrio, rasterio
for path in sys.argv[1:]:
    try:
        pyogrio.read_info(path) if path.endswith(("json", "gml")) else rasterio.open(path).read()
    except Exception:
        pass
"""
"""Opens files without a look at what they are, as GDAL opens what a file leads to."""


def vrt(path, *sources):
    bands = "".join(
        f'<VRTRasterBand dataType="Int16" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">'
        f"{source}</SourceFilename></SimpleSource></VRTRasterBand>"
        for band, source in enumerate(sources, start=1)
    )
    path.write_text(f'<VRTDataset rasterXSize="2" rasterYSize="2">{bands}</VRTDataset>')
    return path


@pytest.fixture
def server():
    """Yield the address of a local server, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}", asked
    http.shutdown()
    http.server_close()


@pytest.fixture
def leading(tmp_path, server):
    """Write files that lead to the server."""
    url, _ = server
    (tmp_path / "wms.tif").write_text(WMS.format(url=url))
    (tmp_path / "wms.xml").write_text(WMS.format(url=url))
    (tmp_path / "a.geojson").write_text(SHAPES.format(url=url))
    (tmp_path / "a.gml").write_text(FEATURES.format(url=url))
    vrt(tmp_path / "curl.vrt", f"/vsicurl/{url}/a.tif")
    vrt(tmp_path / "to_wms.vrt", "wms.tif")
    vrt(tmp_path / "to_vrt.vrt", "curl.vrt")
    return tmp_path


def test_a_virtual_file_is_followed_by_its_name_alone(tmp_path):
    write_raster(tmp_path / "pixels.tif", np.ones((1, 2, 2), np.int16))
    with open_raster(vrt(tmp_path / "a.vrt", "pixels.tif")) as opened:
        assert opened.read().data.sum() == 4
    with pytest.raises(InputError, match=r"a\.tif: holds no pixels, it names other files"):
        open_raster(vrt(tmp_path / "a.tif", "pixels.tif"))
    (tmp_path / "a.geojson").write_text(SHAPES.format(url="http://127.0.0.1:9"))
    with pytest.raises(InputError, match=r"a\.geojson: holds no shapes, it names other files"):
        read_shapes(tmp_path / "a.geojson", None)


def test_offline_nothing_that_a_file_leads_to_is_asked_of_a_server(leading, server, monkeypatch):
    url, asked = server
    with pytest.raises(InputError):
        open_raster(leading / "curl.vrt").read()
    assert asked, "without the switch the server is asked"
    asked.clear()
    monkeypatch.setenv("M3AMBA_OFFLINE", "1")
    for name in (
        "wms.tif",
        "wms.xml",
        "curl.vrt",
        "to_wms.vrt",
        "to_vrt.vrt",
        f"/vsicurl/{url}/a.tif",
        f"{url}/b.tif",
    ):
        path = name if url in name else leading / name
        with pytest.raises(InputError, match="M3AMBA_OFFLINE=1 forbids"):
            open_raster(str(path))
    with pytest.raises(InputError, match="M3AMBA_OFFLINE=1 forbids"):
        read_shapes(leading / "a.geojson", None)
    assert asked == []


def test_offline_gdal_itself_asks_no_server(leading, server):
    _, asked = server
    paths = sorted(map(str, leading.iterdir()))
    environment = {**os.environ, "M3AMBA_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", BARE, *paths], env=environment, check=True)
    assert asked == []


def _link(file, other):
    file["hsi"] = h5py.ExternalLink(other, "/secret")


def _values(file, other):
    file.create_dataset("hsi", (2, 2, 2), "u1", external=[(other, 0, 8)])


def _virtual(file, other):
    layout = h5py.VirtualLayout((2, 2, 2), "u1")
    layout[:] = h5py.VirtualSource(other, "secret", (2, 2, 2))
    file.create_virtual_dataset("hsi", layout)


@pytest.mark.parametrize("lead", [_link, _values, _virtual])
def test_an_hdf5_file_that_leads_to_another_is_refused(tmp_path, lead):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones((2, 2, 2), np.uint8)
    for name in ("a.h5", "a.mat"):
        with h5py.File(tmp_path / name, "w") as file:
            lead(file, str(tmp_path / "other.h5"))
    with pytest.raises(InputError, match=r"a\.h5: .*'/?hsi' .* another file"):
        open_raster(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"a\.mat: .*'/?hsi' .* another file"):
        read_variable(tmp_path / "a.mat", "hsi")
