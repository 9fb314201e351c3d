"""Advice that a user can paste: warps of what is not on a map grid, layers of an area's file."""

import re
import shlex

import geopandas
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint

from rsclip.errors import OptionError, SceneError
from rsclip.scene.aoi import check_aoi
from rsclip.scene.scene import Scene


def _refusal(path, crs, place, words="Warp it first"):
    points = [
        GroundControlPoint(row=row, col=col, x=place(row, col)[0], y=place(row, col)[1])
        for row in (0, 4, 8)
        for col in (0, 4, 8)
    ]
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=3, dtype="uint8"
    ) as made:
        made.gcps = points, crs
    with pytest.raises(SceneError, match="ground control points") as caught:
        Scene.open(path)
    assert words in str(caught.value)
    return shlex.split(re.search(r"gdalwarp .*", str(caught.value))[0])


def test_points_across_the_date_line_get_a_zone_beside_it(tmp_path):
    words = _refusal(
        tmp_path / "b.tif",
        "EPSG:4326",
        lambda row, col: ((179.997 + col * 1e-3 + 180) % 360 - 180, -17 - row * 1e-3),
    )
    assert words[words.index("-t_srs") + 1] in ("EPSG:32760", "EPSG:32701")


def test_points_across_the_date_line_ask_for_a_gdal_that_joins_them(tmp_path):
    with pytest.raises(AssertionError):
        _refusal(
            tmp_path / "a.tif", "EPSG:4326", lambda row, col: (10 + col * 1e-3, row * 1e-3), "3.8"
        )
    _refusal(
        tmp_path / "b.tif",
        "EPSG:4326",
        lambda row, col: ((179.997 + col * 1e-3 + 180) % 360 - 180, row * 1e-3),
        "GDAL 3.8 or newer",
    )


def test_a_crs_without_a_code_is_one_word_of_the_command(tmp_path):
    laea = "+proj=laea +lat_0=50 +lon_0=10 +datum=WGS84 +units=m"
    words = _refusal(tmp_path / "a.tif", laea, lambda row, col: (col, -row))
    named = rasterio.crs.CRS.from_user_input(words[words.index("-t_srs") + 1])
    assert named == rasterio.crs.CRS.from_user_input(laea)
    assert len(words) == 8


def test_points_without_a_crs_are_not_told_to_be_degrees(tmp_path):
    words = _refusal(
        tmp_path / "a.tif", rasterio.crs.CRS(), lambda row, col: (col * 100, -row * 100)
    )
    assert "-t_srs" not in words


def test_arrays_of_longitude_and_latitude_are_refused_with_the_warp(make, noise):
    path = make(noise(3, 8, 8), crs=None, transform=rasterio.Affine.identity())
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="GEOLOCATION", X_DATASET="lon.tif", Y_DATASET="lat.tif")
    with pytest.raises(SceneError, match="gdalwarp -r bilinear -dstalpha -geoloc -t_srs EPSG:4326"):
        Scene.open(path)


def test_the_layer_of_an_area_is_named_where_there_are_several(tmp_path):
    path = tmp_path / "two.gpkg"
    for number, layer in enumerate(("parcels", "aoi")):
        box = shapely.box(number, 0, number + 1, 1)
        geopandas.GeoDataFrame(geometry=[box], crs="EPSG:4326").to_file(path, layer=layer)
    with pytest.raises(OptionError, match=r"has 2 layers: parcels, aoi\. .*two\.gpkg:parcels"):
        check_aoi(str(path))
    with pytest.raises(OptionError, match="no layer 'roads': parcels, aoi"):
        check_aoi(f"{path}:roads")
    check_aoi(f"{path}:aoi")


def test_a_georeference_that_is_no_number_is_refused(make, noise):
    path = make(noise(3, 8, 8), transform=rasterio.Affine(1, 0, float("nan"), 0, -1, 0))
    with pytest.raises(SceneError, match="georeference holds what is no number"):
        Scene.open(path)
