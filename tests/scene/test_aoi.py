"""The area of interest: read from anything, exact on any grid, and refused with a reason."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from rsclip.errors import OptionError
from rsclip.scene.aoi import Aoi, check_aoi, read_aoi
from rsclip.types import Window

UTM = rasterio.crs.CRS.from_epsg(32633)
NORTH_UP = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
ROTATED = Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)
SHAPE = (60, 80)


def whole(aoi):
    return aoi.mask(Window(0, 0, *SHAPE))


def centres(transform):
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    return transform @ (cols.ravel(), rows.ravel())


@pytest.mark.parametrize("transform", [NORTH_UP, ROTATED, Affine(0.5, 0, 5e5, 0, 0.5, 5e6)])
def test_pixels_whose_centre_lies_inside(transform):
    corners = [transform @ xy for xy in [(10.13, 5.29), (61.71, 22.37), (30.19, 51.83)]]
    area = shapely.Polygon(corners)
    found = whole(read_aoi(area.wkt, UTM, transform, SHAPE))
    expected = shapely.contains_xy(area, *centres(transform)).reshape(SHAPE)
    assert (found != expected).mean() < 1e-3  # centres on an edge may go either way
    assert found.sum() > 300


@given(st.integers(0, 59), st.integers(0, 79), st.integers(1, 30), st.integers(1, 30))
def test_windows_are_cut_from_the_whole(row, col, height, width):
    area = shapely.Point(40.2, 30.3).buffer(23.7).difference(shapely.Point(37, 28).buffer(5))
    aoi = Aoi(area, Affine.identity(), SHAPE)
    window = Window(row, col, min(height, 60 - row), min(width, 80 - col))
    mask = aoi.mask(window)
    np.testing.assert_array_equal(mask, whole(aoi)[row : window.row_stop, col : window.col_stop])
    assert aoi.touches(*window) or not mask.any()


def test_every_form_means_the_same(tmp_path):
    box = shapely.box(500005, 4999975, 500030, 4999990)
    frame = geopandas.GeoDataFrame(geometry=[box], crs=UTM.to_wkt())
    frame.to_file(tmp_path / "a.gpkg")
    frame.to_crs(4326).to_file(tmp_path / "a.geojson")
    lonlat = frame.to_crs(4326).geometry[0]
    forms = [
        "500005,4999975,500030,4999990",
        box.wkt,
        f"EPSG:32633;{box.wkt}",
        f"SRID=4326;{lonlat.wkt}",
        str(tmp_path / "a.gpkg"),
        str(tmp_path / "a.geojson"),
    ]
    masks = [whole(read_aoi(form, UTM, NORTH_UP, SHAPE)) for form in forms]
    assert masks[0].sum() == 50 * 30
    for form, mask in zip(forms, masks, strict=True):
        np.testing.assert_array_equal(mask, masks[0], err_msg=form)


def test_a_box_of_degrees_in_another_crs():
    left, bottom, right, top = rasterio.warp.transform_bounds(
        UTM, "EPSG:4326", 500000, 4999970, 500040, 5000000
    )
    mask = whole(read_aoi(f"EPSG:4326;{left},{bottom},{right},{top}", UTM, NORTH_UP, SHAPE))
    assert mask.mean() > 0.98


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "is no area"),
        ("nowhere.gpkg", "'nowhere.gpkg': no such file"),
        ("north/nowhere", "no such file"),
        ("500005,4999975,500030,4999975", "is no box"),
        # Smaller than a pixel, between two centres; and a sliver across the scene.
        ("500005.3,4999975.3,500005.7,4999975.7", "the centre of no pixel"),
        ("500000,4999975.3,500040,4999975.4", "the centre of no pixel"),
        ("10,0,5,3", "is no box"),
        ("nan,0,5,3", "is no box"),
        ("0,0,10,10", "outside the scene.*EPSG:4326"),
        ("EPSG:99999999;0,0,1,1", "is no CRS"),
        ("POINT (500005 4999990)", "no area: polygons are needed"),
        ("POLYGON EMPTY", "no area"),
        ("POLYGON ((0 0, 10 10, 10 0, 0 10, 0 0))", "not valid.*Self-intersection"),
        ("POLYGON ((0 0, 10", "is no area"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(OptionError, match=message):
        read_aoi(text, UTM, NORTH_UP, SHAPE)


def test_one_pixel_far_down_is_an_area_and_a_box_may_be_upside_down():
    shape = (3000, 2500)
    aoi = read_aoi("2400,2900,2401,2899", None, Affine.identity(), shape)
    assert aoi.mask(Window(2890, 2390, 20, 20)).sum() == 1
    # Slivers between centres, and a pixel in the second block.
    text = (
        "MULTIPOLYGON (((0 5.6, 2400 5.6, 2400 5.7, 0 5.6)), ((8 1500, 10 1500, 10 1502, 8 1500)))"
    )
    assert read_aoi(text, None, Affine.identity(), shape).touches(1500, 8, 1, 1)


def test_an_area_with_a_crs_is_no_pixels_of_a_scene_without(tmp_path):
    box = shapely.box(10, 10, 40, 30)
    geopandas.GeoDataFrame(geometry=[box], crs=32633).to_file(tmp_path / "a.gpkg")
    for text in ("EPSG:32633;10,10,40,30", f"SRID=32633;{box.wkt}", str(tmp_path / "a.gpkg")):
        with pytest.raises(OptionError, match="has a CRS, the scene has none"):
            read_aoi(text, None, Affine.identity(), SHAPE)
    assert whole(read_aoi("10,10,40,30", None, Affine.identity(), SHAPE)).sum() == 30 * 20


def test_files_that_hold_no_area(tmp_path):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": []})
    )
    geopandas.GeoDataFrame(geometry=[shapely.Point(500005, 4999990)], crs=32633).to_file(
        tmp_path / "points.gpkg"
    )
    for name in ("text.txt", "empty.geojson", "points.gpkg"):
        with pytest.raises(OptionError, match=r"cannot be read|no areas|polygons are needed"):
            read_aoi(str(tmp_path / name), UTM, NORTH_UP, SHAPE)


def test_a_curved_area_is_refused():
    with pytest.raises(OptionError, match="is no area"):
        check_aoi("MULTISURFACE(CURVEPOLYGON((0 0,0 1,1 1,0 0)))")
