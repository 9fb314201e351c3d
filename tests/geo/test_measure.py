"""Areas and lengths on the ground, held to geodesics."""

import numpy as np
import pyproj
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine

import rsclip
from rsclip.geo.measure import Measure
from tests.vectors.make import PLACES, blobs, write_labels


def geodesic(frame):
    """Return area and length of outlines by pyproj, with edges cut short."""
    geod = frame.crs.geodetic_crs.get_geod()
    # Cut before they are projected: their sides are straight in the scene's CRS.
    step = np.sqrt(frame.area.max()) / 50
    base = frame.segmentize(step).to_crs(frame.crs.geodetic_crs)
    found = []
    for polygon in base:
        area, length = geod.geometry_area_perimeter(shapely.Polygon(polygon.exterior))
        for hole in polygon.interiors:
            inner, around = geod.geometry_area_perimeter(shapely.Polygon(hole))
            area, length = abs(area) - abs(inner), length + around
        found.append((abs(area), length))
    return np.array(found).T


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("simplify", [None, True])
def test_areas_and_lengths_are_geodesic(tmp_path, place, simplify):
    mask = write_labels(tmp_path / "mask.tif", blobs((60, 70)), place)
    crs, transform = PLACES[place]
    side = Measure(CRS.from_string(crs), transform, (60, 70)).pixel_side()
    frame = rsclip.polygonize(mask, simplify=2 * side if simplify else None)
    area, length = geodesic(frame)
    # Single pixels of degrees lose digits in the transformation that checks them.
    large = area > 20 * side**2
    assert large.sum() > 10
    np.testing.assert_allclose(frame.area_m2[large], area[large], rtol=2e-5)
    np.testing.assert_allclose(frame.perimeter_m[large], length[large], rtol=2e-4)


def test_a_hemisphere_in_degrees():
    measure = Measure(CRS.from_epsg(4326), Affine(0.5, 0, -180, 0, -0.5, 90), (360, 720))
    ring = np.array([[0, 0], [720, 0], [720, 180], [0, 180.0]])
    (area,) = measure.areas(ring, np.array([0, 4]))
    assert area == pytest.approx(510_065_621_724_078 / 2, rel=1e-4)
    (length,) = measure.lengths(np.array([[0, 180.0], [180, 180], [180, 0]]), np.array([0, 3]))
    geod = pyproj.Geod(ellps="WGS84")
    quarter = geod.inv(0, 0, 0, 90)[2]
    # Along the equator; the way back crosses the slope of the table.
    assert length > 2 * quarter


def test_areas_add_up_to_the_pixels(tmp_path):
    labels = blobs((90, 80))
    mask = write_labels(tmp_path / "mask.tif", labels, "web mercator")
    crs, transform = PLACES["web mercator"]
    measure = Measure(CRS.from_string(crs), transform, labels.shape)
    ground = measure.ground.rows(0, 90)
    frame = rsclip.polygonize(mask)
    for value, area in frame.groupby("class_id").area_m2.sum().items():
        expected = np.broadcast_to(ground, labels.shape)[labels == value].sum()
        assert area == pytest.approx(expected, rel=1e-9)
    # In the plane they would be more than twice as large.
    assert frame.area.sum() / frame.area_m2.sum() == pytest.approx(2.15, abs=0.05)


def test_without_a_place_pixels_are_counted(tmp_path):
    labels = blobs((50, 60))
    frame = rsclip.polygonize(write_labels(tmp_path / "mask.tif", labels, None))
    assert frame.crs is None
    assert {"area_px", "perimeter_px"} <= set(frame.columns)
    assert not {"area_m2", "perimeter_m"} & set(frame.columns)
    np.testing.assert_array_equal(frame.area_px, frame.area)
    np.testing.assert_allclose(frame.perimeter_px, frame.length)


@pytest.mark.parametrize("size", [1e60, 1e250, 1e-250])
def test_pixels_of_no_size_on_earth_are_outlined_all_the_same(tmp_path, size, monkeypatch):
    transform = Affine(size, 0, 500_000, 0, -size, 5_000_000)
    monkeypatch.setitem(PLACES, "nowhere", ("EPSG:32633", transform))
    path = write_labels(tmp_path / "labels.tif", blobs((40, 40)), "nowhere")
    frame = rsclip.polygonize(path, simplify=2)
    assert len(frame)
