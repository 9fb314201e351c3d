"""Outlines of scenes in longitude and latitude, at the date line, the poles and whole turns."""

import numpy as np
import pyproj
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from shapely.geometry import shape as geometry_of

from rsclip.outputs.records.footprint import footprint

WORLD = [-180, -90, 180, 90]
POLAR = from_origin(-8e5, 8e5, 1e4, 1e4)
CASES = {
    "from 0": ("EPSG:4326", from_origin(0, 90, 1, 1), (180, 360), WORLD),
    "from -180": ("EPSG:4326", from_origin(-180, 90, 1, 1), (180, 360), WORLD),
    "from -180.25": ("EPSG:4326", from_origin(-180.25, 90.25, 1.0014, 1), (181, 360), WORLD),
    "beyond 180": ("EPSG:4326", from_origin(200, 10, 1, 1), (10, 10), [-160, 0, -150, 10]),
    "across 360": ("EPSG:4326", from_origin(340, 30, 1, 1), (60, 60), [-20, -30, 40, 30]),
    "west of -180": ("EPSG:4326", from_origin(-190, 30, 1, 1), (5, 5), [170, 25, 175, 30]),
    "up to 180": ("EPSG:4326", from_origin(170, 30, 1, 1), (5, 10), [170, 25, 180, 30]),
    "across 180": ("EPSG:4326", from_origin(179, 10, 0.1, 0.1), (10, 30), [179, 9, -178, 10]),
    "across -180": ("EPSG:4326", from_origin(-181, 10, 0.1, 0.1), (10, 30), [179, 9, -178, 10]),
    "south up": ("EPSG:4326", Affine(1, 0, 170, 0, 1, 0), (5, 5), [170, 0, 175, 5]),
    "south pole": ("EPSG:3031", POLAR, (160, 160), [-180, -90, 180, -79.6]),
    "turned": ("EPSG:3031", Affine.rotation(33) @ POLAR, (160, 160), [-180, -90, 180, -79.6]),
    "pole at the side": ("EPSG:3031", from_origin(-15e5, 1e3, 1e4, 1e4), (160, 160),
                         [-180, -90, 180, -70.0]),
    "north pole": ("EPSG:3413", from_origin(-4e6, 4e6, 1e4, 1e4), (800, 800),
                   [-180, 40.9, 180, 90]),
    "beside the pole": ("EPSG:3413", from_origin(-4e6, -1e4, 1e4, 1e4), (800, 800),
                        [-134.9, 18.1, 44.9, 89.9]),
    "a hair before 180": ("EPSG:4326", from_origin(179.99999999, 10, 1, 1), (10, 10),
                          [-180, 0, -170, 10]),
    "a hair beyond 180": ("EPSG:4326", from_origin(170.00000001, 10, 1, 1), (10, 10),
                          [170, 0, 180, 10]),
    "utm 1": ("EPSG:32601", from_origin(2e5, 5.3e6, 300, 300), (300, 400),
              [179.0, 47, -179.4, 47.8]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_outline_is_valid_and_holds_the_scene(name):
    crs, transform, (height, width), bounds = CASES[name]
    found = footprint(CRS.from_user_input(crs), transform, (height, width))
    outline = geometry_of(found.geometry)
    assert shapely.is_valid(outline), shapely.is_valid_reason(outline)
    np.testing.assert_allclose(found.bbox, bounds, atol=0.1)
    west, _, east, _ = found.bbox
    if west > east:
        assert outline.geom_type == "MultiPolygon"
        spans = sorted(part.bounds[::2] for part in outline.geoms)
        np.testing.assert_allclose(spans, [(-180, east), (west, 180)])
    else:
        np.testing.assert_allclose(outline.bounds, found.bbox)
    for part in shapely.get_parts(outline):
        assert part.exterior.is_ccw
    # Points all over the scene, not quite at its sides, lie inside.
    cols, rows = np.meshgrid(
        np.linspace(0.03, 0.97, 12) * width, np.linspace(0.03, 0.97, 11) * height
    )
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    lon, lat = to_degrees.transform(*(transform @ (cols.ravel(), rows.ravel())))
    lon = (np.asarray(lon) + 180) % 360 - 180
    inside = shapely.contains_xy(outline, lon, np.clip(lat, -89.999, 89.999))
    assert inside.mean() > 0.98
    centre = to_degrees.transform(*(transform @ (width / 2, height / 2)))
    assert shapely.intersects_xy(outline, (centre[0] + 180) % 360 - 180, centre[1])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (None, Affine.identity()),
        ('LOCAL_CS["site",UNIT["metre",1]]', from_origin(5e5, 5e6, 1, 1)),
        ("EPSG:4978", from_origin(5e5, 5e6, 1, 1)),
        ("ESRI:54009", from_origin(-18.04e6, 9.02e6, 9e4, 9e4)),
        ("+proj=sinu +R=6371007.181", from_origin(-20.0e6, 10.0e6, 1e5, 1e5)),
    ],
)
def test_what_has_no_outline_on_earth(crs, transform):
    assert footprint(crs and CRS.from_user_input(crs), transform, (200, 400)) is None


def test_few_points_where_sides_are_short():
    found = footprint(CRS.from_epsg(32633), from_origin(5e5, 5e6, 1, 1), (500, 500))
    (ring,) = found.geometry["coordinates"]
    assert len(ring) == 33
    assert all(value == round(value, 7) for point in ring for value in point)


@pytest.mark.parametrize("code", [3413, 3031, 3995, 6931, 5041])
def test_any_scene_around_a_pole(code):
    crs, random = pyproj.CRS.from_epsg(code), np.random.default_rng(code)
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    pole = -90 if code == 3031 else 90
    x, y = to_degrees.transform(0, pole, direction="INVERSE")
    for _ in range(30):
        height, width = (int(size) for size in random.integers(50, 600, 2))
        pixel = 10 ** random.uniform(0, 3.7)
        right, down = random.uniform(0.01, 0.99, 2)
        transform = from_origin(x - right * width * pixel, y + down * height * pixel, pixel, pixel)
        found = footprint(CRS.from_epsg(code), transform, (height, width))
        outline = geometry_of(found.geometry)
        assert shapely.is_valid(outline), shapely.is_valid_reason(outline)
        np.testing.assert_allclose(outline.bounds, found.bbox)
        assert found.bbox[::2] == [-180, 180]
        assert found.bbox[1 if pole < 0 else 3] == pole
        for part in shapely.get_parts(outline):
            assert part.exterior.is_ccw
        # Every meridian reaches the pole.
        around = np.linspace(-179.9, 179.9, 50)
        assert shapely.intersects_xy(outline, around, np.full(50, float(pole))).all()
        cols, rows = random.uniform(0.05, 0.95, (2, 60))
        lon, lat = to_degrees.transform(*(transform @ (cols * width, rows * height)))
        assert shapely.contains_xy(outline, lon, lat).mean() > 0.9
        assert (found.bbox[1] <= lat).all()
        assert (lat <= found.bbox[3]).all()
