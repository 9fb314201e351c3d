"""Rotated poles are measured at their true place; a local CRS counts in its own unit."""

import pyproj
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.area import GroundArea
from rsclip.geo.grid import north_angle, pixel_size_m
from rsclip.geo.units import metres_per_unit

ROTATED = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +datum=WGS84 +type=crs"
FEET = 'LOCAL_CS["Site",UNIT["foot",0.3048],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'


@pytest.mark.parametrize("corner", [(1, -2), (25, -2), (0, 20)])
def test_areas_and_north_of_a_rotated_pole_are_those_of_the_true_place(corner):
    crs, transform = CRS.from_user_input(ROTATED), Affine(1e-3, 0, corner[0], 0, -1e-3, corner[1])
    to_true = pyproj.Transformer.from_crs(ROTATED, "EPSG:4326", always_xy=True)
    place = [to_true.transform(*(transform @ each)) for each in ((0, 0), (9, 0), (9, 6), (0, 6))]
    right = abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(*zip(*place, strict=True))[0])
    ground = GroundArea.measure(crs, transform, (6, 9))
    rows = ground.rows(0, 6)
    got = rows.sum() * (9 if rows.shape[1] == 1 else 1)
    assert got == pytest.approx(right, rel=1e-5)
    lon, lat = to_true.transform(*(transform @ (4.5, 3)))
    # From the centre the bearing of "up" in the image is what north is turned against.
    up = to_true.transform(*(transform @ (4.5, 2)))
    bearing = pyproj.Geod(ellps="WGS84").inv(lon, lat, *up)[0]
    assert north_angle(crs, transform, (6, 9)) == pytest.approx(-bearing, abs=0.05)


def test_a_local_crs_is_measured_in_its_unit():
    crs, transform = CRS.from_wkt(FEET), Affine(2, 0, 0, 0, -2, 0)
    assert pixel_size_m(crs, transform, (8, 8)) == pytest.approx((0.6096, 0.6096))
    ground = GroundArea.measure(crs, transform, (8, 8))
    assert ground.rows(0, 1).ravel()[0] == pytest.approx(0.6096**2)


def test_a_local_crs_of_angles_has_no_length():
    crs = CRS.from_wkt('LOCAL_CS["Site",UNIT["degree",0.0174532925199433]]')
    transform = Affine(2, 0, 0, 0, -2, 0)
    assert pixel_size_m(crs, transform, (8, 8)) is None
    assert GroundArea.measure(crs, transform, (8, 8)) is None


@pytest.mark.parametrize(
    "text", ["+proj=utm +zone=33 +units=km +towgs84=1,2,3", "EPSG:5554", "EPSG:32633"]
)
def test_compound_and_bound_crs_keep_their_unit(text):
    crs = CRS.from_user_input(text)
    assert metres_per_unit(crs) == (1000 if "km" in text else 1)
