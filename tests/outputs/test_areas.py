"""Ground areas against geodesics, and the table of them."""

import csv
import math

import numpy as np
import pyproj
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.area import GroundArea

GEOD = pyproj.Geod(ellps="WGS84")


def geodesic(crs, transform, shape):
    """Return the area of a grid's outline, its edges cut finely."""
    height, width = shape
    along = np.linspace(0, 1, 400, endpoint=False)
    cols = np.concatenate([along * width, along * 0 + width, (1 - along) * width, along * 0])
    rows = np.concatenate([along * 0, along * height, along * 0 + height, (1 - along) * height])
    x, y = transform @ (cols, rows)
    lon, lat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y)
    return abs(GEOD.polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize(
    ("crs", "transform", "shape", "tolerance"),
    [
        ("EPSG:32633", Affine(0.5, 0, 391500, 0, -0.5, 5819600), (400, 400), 1e-6),
        ("EPSG:32629", Affine(0.478, -0.146, 602400, -0.146, -0.478, 4192800), (480, 480), 1e-6),
        ("EPSG:4326", Affine(6.651e-6, 0, 16.52, 0, -4.497e-6, 47.6), (512, 512), 1e-6),
        ("EPSG:4326", Affine(0.01, 0.004, 10, 0.004, -0.01, 60), (300, 700), 3e-5),
        ("EPSG:3857", Affine(10, 0, 1.2e6, 0, -10, 5.95e6), (3000, 2000), 1e-6),
        ("EPSG:3031", Affine(500, 0, -3e5, 0, -500, 9e5), (1500, 1200), 1e-5),
        ("EPSG:3413", Affine(30, 0, -2e5, 0, 30, -1.8e6), (20, 3000), 1e-6),
        ("EPSG:2263", Affine(1, 0, 98e4, 0, -1, 2e5), (20, 20), 1e-5),
    ],
)
def test_total_area_is_the_geodesic_one(crs, transform, shape, tolerance):
    area = GroundArea(CRS.from_user_input(crs), transform, shape)
    assert area.total() == pytest.approx(geodesic(crs, transform, shape), rel=tolerance)


def test_web_mercator_is_off_by_its_scale_squared():
    y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10, 47)[1]
    area = GroundArea(CRS.from_epsg(3857), Affine(1, 0, 1e6, 0, -1, y), (2, 2)).rows(0, 1)
    assert 1 / area[0, 0] == pytest.approx(2.15, abs=0.01)


def test_rows_of_a_world_in_degrees():
    area = GroundArea(CRS.from_epsg(4326), Affine(1, 0, -180, 0, -1, 90), (180, 360))
    assert area.rows(0, 180).shape == (180, 1)
    # WGS 84's surface.
    assert area.total() == pytest.approx(510_065_621_724_088, rel=1e-9)


def test_a_grid_over_the_pole_and_one_over_the_date_line():
    pole = GroundArea(CRS.from_epsg(3031), Affine(1000, 0, -5e4, 0, -1000, 5e4), (100, 100))
    scale = 0.97277  # true at 71 degrees south
    assert pole.total() == pytest.approx(1e10 / scale**2, rel=1e-3)
    line = Affine(0.001, 0.0001, 179.9, 0.0001, -0.001, 10)
    there = GroundArea(CRS.from_epsg(4326), line, (200, 200)).total()
    elsewhere = Affine(0.001, 0.0001, 79.9, 0.0001, -0.001, 10)
    assert there == pytest.approx(GroundArea(CRS.from_epsg(4326), elsewhere, (200, 200)).total())


def test_without_a_place_on_earth():
    assert GroundArea.measure(None, Affine.identity(), (5, 5)) is None
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    area = GroundArea.measure(local, Affine.scale(2, -3), (5, 5))
    assert area is None or area.total() == pytest.approx(150)


def test_the_table_adds_up(finished):
    with finished.paths["areas"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    labels = finished.mask()
    assert [row["class"] for row in rows] == ["unclassified", "Gebäude", "road & <rail>", "川"]
    assert [int(row["pixels"]) for row in rows] == [(labels == k).sum() for k in range(4)]
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-5)
    for row in rows:
        pixels = int(row["pixels"])
        # A pixel of the rotated grid is 0.25 m2; UTM's scale here is 0.9996.
        assert float(row["m2"]) == pytest.approx(pixels * 0.25 / 0.9996**2, rel=1e-4)
        assert float(row["hectares"]) == pytest.approx(float(row["m2"]) / 1e4, abs=1e-7)
        assert (row["mean_confidence"] == "") == (pixels == 0)
        if pixels:
            import rasterio

            with rasterio.open(finished.paths["confidence"]) as dataset:
                percent = dataset.read(1)[labels == int(row["value"])]
            assert float(row["mean_confidence"]) == pytest.approx(percent.mean() / 100, abs=0.005)


def test_no_crs_and_no_score_leave_cells_empty(make_scene, tiny_model, tmp_path):
    import rsclip as library

    scene = make_scene(crs=None)
    with pytest.warns(library.errors.RsclipWarning):
        result = library.segment(
            scene, ["a", "b"], tmp_path / "out", model=tiny_model, vector_format="none"
        )
    with result.paths["areas"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["m2"], row["hectares"], row["mean_confidence"]) for row in rows} == {("", "", "")}
    assert math.isclose(sum(float(row["share"]) for row in rows), 1, abs_tol=1e-5)
