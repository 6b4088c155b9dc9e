import csv

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from source_counts import check_counts
from tiny_rasters import pixel_box, write_polygons, write_raster

from m3amba_zoo.errors import DataNotFoundError, InputError
from m3amba_zoo.scenes.idtrees import METRICS, IDTReeS
from m3amba_zoo.scenes.source import data_roots

SIDE = 10
TREES = {
    "M1": ("ACRU", "Acer rubrum L."),
    "M2": ("QUAL", "Quercus alba L."),
    "M3": ("PINUS", "Pinus sp."),
    "O1": ("ACRU", "Acer rubrum L."),
}
# plot: (site, tree, upper left row and column, rows and columns)
CROWNS = {
    "MLBS_2": [
        ("M1", (0, 0, 4, 4)),
        ("M1", (2, 0, 4, 4)),  # overlaps the same taxon: stays labelled
        ("M2", (5, 2, 5, 8)),  # overlaps ACRU in 1 x 2 pixels: unlabelled there
        ("M3", (9, 9, 1, 1)),  # a rare taxon on QUAL: unlabelled, though it is no class
        ("nobody", (7, 4, 1, 1)),  # no field data: ignored
    ],
    "MLBS_10": [("M2", (0, 0, 2, 2))],
    "OSBS_1": [("O1", (3, 3, 2, 2))],
}


def place(plot: str):
    return from_origin(540_000 + 100 * list(CROWNS).index(plot), 4_100_000, 1, 1)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "train"
    generator = np.random.default_rng(0)
    for plot in CROWNS:
        hsi = generator.integers(0, 9000, (369, SIDE, SIDE)).astype(np.int16)
        height = generator.random((1, SIDE, SIDE), np.float32)
        write_raster(folder / "RemoteSensing" / "HSI" / f"{plot}.tif", hsi, place(plot))
        write_raster(folder / "RemoteSensing" / "CHM" / f"{plot}.tif", height, place(plot), nodata=-3.4e38)
        metrics = generator.random((9, SIDE, SIDE), np.float32)
        metrics[:, 1, 2] = np.nan  # no point
        write_raster(folder / "RemoteSensing" / "LIDAR" / f"{plot}.tif", metrics, place(plot), nodata=np.nan)
    for site in ("MLBS", "OSBS"):
        crowns = [(plot, crown) for plot in CROWNS if plot.startswith(site) for crown in CROWNS[plot]]
        boxes = [pixel_box(*box, transform=place(plot)) for plot, (_, box) in crowns]
        path = folder / "ITC" / f"train_{site}.shp"
        write_polygons(
            path, boxes, "EPSG:32617", id=list(range(len(boxes))), indvdID=[t for _, (t, _) in crowns]
        )
    write_field_data(folder / "Field" / "train_data.csv", ("indvdID", "siteID", "taxonID", "scientificName"))
    return tmp_path


def write_field_data(path, columns):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows((tree, tree[0] + "LBS", taxon, name) for tree, (taxon, name) in TREES.items())


def test_crowns_become_labels(root):
    source = IDTReeS(root, min_pixels=5, min_plots=2)
    scenes = source.load()
    check_counts(source, scenes)
    assert [scene.name for scene in scenes] == ["MLBS_2", "MLBS_10", "OSBS_1"]
    assert [entry.name for entry in source.classes] == ["ACRU (Acer rubrum)", "QUAL (Quercus alba)"]
    assert source.classes[0].color != source.classes[1].color
    expected = np.zeros((SIDE, SIDE), np.uint8)
    expected[:6, :4] = 1
    expected[5:, 2:] = 2
    expected[5, 2:4] = expected[9, 9] = 0
    np.testing.assert_array_equal(scenes[0].labels, expected)
    hsi, lidar = scenes[0].rasters["hsi"], scenes[0].rasters["lidar"]
    assert (hsi.data.shape, hsi.data.dtype, lidar.data.shape) == (
        (369, SIDE, SIDE),
        np.int16,
        (1, SIDE, SIDE),
    )
    assert (hsi.unit, lidar.unit, lidar.nodata) == ("reflectance x 10000", "m", pytest.approx(-3.4e38))
    assert (scenes[1].crs, scenes[1].transform) == ("EPSG:32617", place("MLBS_10"))


def test_crowns_of_one_tree_are_one_object_in_every_plot(root):
    path = root / "train" / "ITC" / "train_MLBS.shp"
    crowns = [("M1", (0, 0, 4, 4), "MLBS_2"), ("M2", (5, 5, 2, 2), "MLBS_2"), ("M1", (6, 6, 2, 2), "MLBS_10")]
    crowns += [("nobody", (8, 8, 2, 2), "MLBS_2"), ("M2", (0, 0, 5, 5), "MLBS_10")]
    boxes = [pixel_box(*box, transform=place(plot)) for _, box, plot in crowns]
    write_polygons(path, boxes, "EPSG:32617", id=list(range(5)), indvdID=[tree for tree, _, _ in crowns])
    first, second, third = (scene.objects for scene in IDTReeS(root, 1, 1).load(rasters=False))
    assert first.dtype == np.int64
    maple, oak, other = first[0, 0], first[5, 5], third[3, 3]
    assert len({0, maple, oak, other}) == 4
    assert np.unique(first).tolist() == sorted([0, maple, oak])
    assert (first == maple).sum() == 16
    assert (second[6:8, 6:8] == maple).all()
    assert (second[:5, :5] == oak).all()
    assert (second > 0).sum() == 29


def test_metrics_of_the_point_cloud_take_the_place_of_the_height(root):
    source = IDTReeS(root, 5, 1, lidar="metrics")
    scenes = source.load()
    check_counts(source, scenes)
    lidar = scenes[0].rasters["lidar"]
    assert source.channels() == {"hsi": 369, "lidar": 9}
    assert lidar.bands == METRICS
    lidar.check_finite("lidar")
    assert [tuple(place) for place in np.argwhere(lidar.missing())] == [(band, 1, 2) for band in range(9)]
    (root / "train" / "RemoteSensing" / "LIDAR" / "MLBS_10.tif").unlink()
    IDTReeS(root, 5, 1).load()
    with pytest.raises(DataNotFoundError, match=r"LIDAR/MLBS_10\.tif not found; fetch the point clouds"):
        source.load()
    with pytest.raises(InputError, match="lidar is 'cloud'; height or metrics is expected"):
        IDTReeS(root, lidar="cloud")


def test_metrics_of_another_order_or_place_are_refused(root):
    remote = root / "train" / "RemoteSensing"
    with rasterio.open(remote / "LIDAR" / "MLBS_2.tif", "r+") as file:
        file.descriptions = METRICS[::-1]
    with pytest.raises(
        InputError, match=r"LIDAR/MLBS_2\.tif: the bands are returns_mean, .* expected h_max, "
    ):
        IDTReeS(root, 5, 1, lidar="metrics").load()
    with rasterio.open(remote / "LIDAR" / "MLBS_2.tif", "r+") as file:
        file.descriptions = METRICS
    height = np.ones((1, SIDE, SIDE), np.float32)
    write_raster(remote / "CHM" / "MLBS_2.tif", height, place("MLBS_10"))
    with pytest.raises(InputError, match=r"HSI/MLBS_2\.tif and .*CHM/MLBS_2\.tif lie apart by 100 pixels"):
        IDTReeS(root, 5, 1, lidar="metrics").load()


def test_thresholds_count_pixels_under_crowns_and_plots(root):
    def names(**thresholds):
        source = IDTReeS(root, **thresholds)
        source.load(rasters=False)
        return [entry.name.split()[0] for entry in source.classes]

    assert names(min_pixels=1, min_plots=1) == ["ACRU", "PINUS", "QUAL"]
    assert names(min_pixels=28, min_plots=1) == ["ACRU", "QUAL"]  # ACRU: 24 + 4 pixels, overlaps included
    assert names(min_pixels=29, min_plots=1) == ["QUAL"]
    with pytest.raises(InputError, match="no taxon has min_pixels=1 pixels in min_plots=3 plots"):
        names(min_pixels=1, min_plots=3)


def test_labels_alone_are_the_same_without_rasters(root):
    whole, alone = (IDTReeS(root, 5, 1).load(rasters) for rasters in (True, False))
    assert not any(scene.rasters for scene in alone)
    for one, other in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


def test_wavelengths_leave_the_water_bands_out(root):
    wavelengths = IDTReeS(root, 5, 1).load()[0].rasters["hsi"].wavelengths
    steps = np.diff(wavelengths)
    assert (steps > 0).all()
    gaps = np.flatnonzero(steps > 6)
    bounds = [(wavelengths[gap], wavelengths[gap + 1]) for gap in gaps]
    assert len(bounds) == 2
    assert 1330 < bounds[0][0] < 1400 < bounds[0][1] < 1450
    assert 1780 < bounds[1][0] < 1870 < bounds[1][1] < 1970


@pytest.mark.parametrize(
    "lost",
    [
        "RemoteSensing/CHM/MLBS_10.tif",
        "ITC/train_OSBS.shp",
        "Field/train_data.csv",
        "RemoteSensing/HSI/*.tif",
    ],
)
def test_absent_files_are_named_with_what_to_do(root, lost):
    for path in (root / "train").glob(lost):
        path.unlink()
    with pytest.raises(DataNotFoundError, match="Zenodo, record 3934932") as caught:
        IDTReeS(root).load(rasters=False)
    assert str(root / "train" / lost) in str(caught.value)


def test_bands_and_classes_are_known_without_files(tmp_path):
    source = IDTReeS(tmp_path / "absent")
    assert source.channels() == {"hsi": 369, "lidar": 1}
    assert source.num_classes() == 13
    with pytest.raises(DataNotFoundError):
        IDTReeS(tmp_path / "absent", min_plots=2).num_classes()


def test_no_data_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("M3AMBA_DATA", str(tmp_path))
    with pytest.raises(DataNotFoundError, match=r"folder idtrees under \$M3AMBA_DATA.*simulated"):
        IDTReeS().load()


def test_rasters_of_one_plot_must_match(root):
    path = root / "train" / "RemoteSensing" / "HSI" / "MLBS_10.tif"
    write_raster(path, np.zeros((369, SIDE, SIDE + 1), np.int16), place("MLBS_10"))
    with pytest.raises(InputError, match=r"scene 'MLBS_10': .*HSI.*CHM.* are 10 x 11 and 10 x 10"):
        IDTReeS(root, 5, 1).load()


def test_damaged_tables_are_refused(root):
    field = root / "train" / "Field" / "train_data.csv"
    write_field_data(field, ("indvdID", "siteID", "taxon", "scientificName"))
    with pytest.raises(InputError, match=r"train_data\.csv: no column 'taxonID', the file has indvdID"):
        IDTReeS(root, 5, 1).load()
    write_field_data(field, ("indvdID", "siteID", "taxonID", "scientificName"))
    crowns = root / "train" / "ITC" / "train_OSBS.shp"
    crowns.write_bytes(crowns.read_bytes()[:120])
    with pytest.raises(InputError, match=r"train_OSBS\.shp: "):
        IDTReeS(root, 5, 1).load()


@pytest.fixture(scope="module")
def real():
    if not (IDTReeS().root / "train" / "RemoteSensing").is_dir():
        pytest.skip(f"the IDTReeS data is not in {' or '.join(str(base) for base in data_roots())}")
    source = IDTReeS()
    return source, source.load()


def test_real_plots_hold_the_benchmark_taxa(real):
    source, scenes = real
    maples, others = {"ACRU"}, {"AMLA", "LITU", "MAGNO", "NYSY"}
    pines, oaks = {"PINUS", "PIPA2"}, {"QUAL", "QUCO2", "QUGE2", "QULA2", "QUMO4", "QURU"}
    assert {entry.name.split()[0] for entry in source.classes} == maples | others | pines | oaks
    assert len({entry.color for entry in source.classes}) == len(source.classes) == 13
    assert len(scenes) == 85
    check_counts(source, scenes)
    assert {scene.rasters["hsi"].data.shape for scene in scenes} == {(369, 20, 20)}
    assert len({scene.crs for scene in scenes}) == 1
    for scene in scenes:
        for modality, raster in scene.rasters.items():
            raster.check_finite(modality)


def test_real_labels_lie_on_trees(real):
    """In the open pine stands of OSBS, labelled pixels are canopy and the others are mostly ground."""
    _, scenes = real
    open_stands = [scene for scene in scenes if scene.name.startswith("OSBS") and scene.labelled.any()]
    height = np.stack([scene.rasters["lidar"].data[0] for scene in open_stands])
    labelled = np.stack([scene.labelled for scene in open_stands])
    assert np.median(height[labelled]) > 5
    assert np.median(height[~labelled]) < 2


def test_real_spectra_agree_with_the_nominal_wavelengths(real):
    """Oxygen's band at 761 nm and the red edge stand where the wavelengths say."""
    _, scenes = real
    hsi = scenes[0].rasters["hsi"]
    spectrum = np.median(
        np.concatenate([s.rasters["hsi"].data.reshape(369, -1) for s in scenes], axis=1), axis=1
    )
    near = (hsi.wavelengths > 745) & (hsi.wavelengths < 780)
    dip = spectrum[near] - np.interp(np.arange(near.sum()), [0, near.sum() - 1], spectrum[near][[0, -1]])
    assert hsi.wavelengths[near][dip.argmin()] == pytest.approx(761, abs=4)
    red = (hsi.wavelengths > 640) & (hsi.wavelengths < 800)
    assert hsi.wavelengths[red][np.diff(spectrum[red]).argmax()] == pytest.approx(720, abs=15)
