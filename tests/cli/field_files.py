"""Files of a user: rasters of labelled fields, and their labels in every form."""

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.warp import transform as warp
from scipy import ndimage
from tiny_rasters import CRS, pixel_box, write_polygons, write_raster

PLACE = from_origin(500_000, 4_000_000, 10, 10)
CROPS = ("maize", "rape", "wheat")
NM = (450.0, 550.0, 650.0, 860.0)


def large_fields(shape=(120, 160), side=20, classes=3, seed=0):
    """Label a checkerboard of fields with unlabelled tracks between them."""
    blocks = np.random.default_rng(seed).integers(1, classes + 1, [-(-n // side) for n in shape])
    labels = np.kron(blocks, np.ones((side, side), int))[: shape[0], : shape[1]].astype(np.uint8)
    labels[::side] = labels[:, ::side] = 0
    return labels


def few_polygons(shape=(100, 120), side=6, count=15, classes=3, columns=5):
    """Label small squares, far from each other."""
    labels = np.zeros(shape, np.uint8)
    for index in range(count):
        row, column = 20 * (index // columns) + 5, 22 * (index % columns) + 5
        labels[row : row + side, column : column + side] = index % classes + 1
    return labels


def write_rasters(folder, labels, seed=0, **profile):
    """Write ``hsi.tif`` (4 bands with wavelengths) and ``sar.tif`` (2 bands in dB); return the options."""
    generator = np.random.default_rng(seed)
    spectra = generator.uniform(500, 3000, (int(labels.max()) + 1, len(NM)))
    hsi = spectra[labels].transpose(2, 0, 1) + generator.normal(0, 50, (len(NM), *labels.shape))
    sar = labels[None] * 2.0 - 20 + generator.normal(0, 1, (2, *labels.shape))
    path = write_raster(folder / "hsi.tif", hsi.astype(np.uint16), PLACE, **profile)
    with rasterio.open(path, "r+") as file:
        for band, centre in enumerate(NM, start=1):
            file.update_tags(band, wavelength=str(centre), wavelength_units="nm")
            file.set_band_unit(band, "reflectance x 10000")
    write_raster(folder / "sar.tif", sar.astype(np.float32), PLACE)
    return ["--raster", f"hsi={folder / 'hsi.tif'}", "--raster", f"sar={folder / 'sar.tif'}"]


def squares(labels):
    """Return a box around each connected square of a class, and the class's name."""
    boxes, names = [], []
    for label in range(1, int(labels.max()) + 1):
        for rows, columns in ndimage.find_objects(ndimage.label(labels == label)[0]):
            boxes.append(
                pixel_box(
                    rows.start,
                    columns.start,
                    rows.stop - rows.start,
                    columns.stop - columns.start,
                    PLACE,
                )
            )
            names.append(CROPS[label - 1])
    return boxes, names


def write_labels(folder, labels, form):
    """Write the labels in a form; return the value of ``--labels`` and further options."""
    boxes, names = squares(labels)
    if form == "raster":
        tags = {f"CLASS_{number}": name for number, name in enumerate(CROPS, start=1)}
        path = write_raster(folder / "labels.tif", labels[None], PLACE)
        with rasterio.open(path, "r+") as file:
            file.update_tags(**tags)
        return [str(path)]
    if form == "geojson":
        boxes = [
            shapely.transform(box, lambda xy: np.column_stack(warp(CRS, "EPSG:4326", xy[:, 0], xy[:, 1])))
            for box in boxes
        ]
        return [f"{write_polygons(folder / 'fields.geojson', boxes, 'EPSG:4326', crop=names)}:crop"]
    if form == "points":
        points = [box.centroid for box in boxes]
        path = write_polygons(folder / "points.gpkg", points, crop=names)
        return [str(path), "--attribute", "crop", "--radius", "25"]
    if form == "roi":
        return [str(_write_regions(folder / "rois.txt", labels))]
    if form == "layers":
        path = folder / "two.gpkg"
        for layer, of_layer in (("spring", names[::-1]), ("summer", names)):
            pyogrio.raw.write(
                path,
                shapely.to_wkb(boxes),
                [np.array(of_layer, object)],
                ["crop"],
                layer=layer,
                geometry_type="Polygon",
                crs=CRS,
            )
        return [f"{path}:summer:crop"]
    suffix = {"shapefile": ".shp"}.get(form, f".{form}")
    return [f"{write_polygons(folder / f'fields{suffix}', boxes, crop=names)}:crop"]


def _write_regions(path, labels):
    """Write ENVI's text of regions of interest."""
    rows, columns = labels.shape
    lines = ["; ENVI Output of ROIs (5.3)", f"; Number of ROIs: {len(CROPS)}"]
    lines += [f"; File Dimension: {columns} x {rows}", ";"]
    points = []
    for number, name in enumerate(CROPS, start=1):
        at = np.argwhere(labels == number)
        lines += [f"; ROI name: {name}", "; ROI rgb value: {0, 205, 0}", f"; ROI npts: {len(at)}", ";"]
        points.append([f"{index} {column + 1} {row + 1}" for index, (row, column) in enumerate(at, start=1)])
    lines.append("; ID X Y")
    for of_region in points:
        lines += [*of_region, ""]
    path.write_text("\n".join(lines))
    return path
