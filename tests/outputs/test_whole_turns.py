"""GeoJSON of grids that begin anywhere in degrees, and of CRSs that no way leads out of."""

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

import rsclip
from rsclip.errors import OutputError, WriteError
from rsclip.outputs.polygonize import read_polygons
from rsclip.outputs.polygons.geojson import keep_polygons, within_turn
from tests.rasters import write_raster
from tests.vectors.make import blobs

GEOD = pyproj.Geod(ellps="WGS84")


def written(tmp_path, labels, west, crs="EPSG:4326", pixel=1e-5):
    mask = write_raster(
        tmp_path / "m.tif", labels[None], crs=crs, transform=from_origin(west, 50, pixel, pixel)
    )
    path = rsclip.write_polygons(mask, tmp_path / "a.geojson")
    return rsclip.polygonize(mask), read_polygons(path)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4267"])
@pytest.mark.parametrize(
    ("west", "bounds"),
    [
        (359.9995, (-0.0005, 0.0010)),
        (539.9995, (-180.0, 180.0)),
        (179.9995, (-180.0, 180.0)),
        (-180.0005, (-180.0, 180.0)),
        (-540.0005, (-180.0, 180.0)),
        (-360.0005, (-0.0005, 0.0010)),
        (200.0, (-160.0, -159.9985)),
        (700.0, (-20.0, -19.9985)),
    ],
)
def test_nothing_is_lost_wherever_a_turn_begins(tmp_path, west, bounds, crs):
    exact, frame = written(tmp_path, blobs((120, 150), nodata=False), west, crs)
    assert len(frame) == len(exact)
    assert not frame.is_empty.any()
    assert frame.is_valid.all()
    assert set(frame.geom_type) <= {"Polygon", "MultiPolygon"}
    area = [abs(GEOD.geometry_area_perimeter(each)[0]) for each in frame.geometry]
    if crs == "EPSG:4326":
        np.testing.assert_allclose(area, exact.area_m2, rtol=1e-3)
        np.testing.assert_allclose(frame.total_bounds[[0, 2]], bounds, atol=1e-6)
    else:
        assert sum(area) == pytest.approx(exact.area_m2.sum(), rel=1e-3)


@pytest.mark.parametrize("west", [0.0, -180.25, -180.0, 123.4])
def test_a_whole_turn_is_one_world(tmp_path, west):
    labels = np.ones((20, 361), np.uint8)
    _, frame = written(tmp_path, labels, west, pixel=1.0)
    # The pixels beyond the turn lie where others are.
    assert frame.set_crs(None, allow_override=True).area.sum() == pytest.approx(360 * 20)
    assert frame.total_bounds.tolist() == [-180, 30, 180, 50]
    assert frame.is_valid.all()


@given(st.floats(-2000, 2000), st.floats(0.01, 300), st.sampled_from([360.0, 400.0]))
def test_whole_turns_leave_the_area(west, width, turn):
    polygon = shapely.box(west, 10, west + width, 20).difference(
        shapely.box(west + width / 4, 12, west + width / 2, 15)
    )
    (found,) = within_turn(np.array([polygon], object), turn)
    assert found.area == pytest.approx(polygon.area, rel=1e-6)
    assert found.is_valid
    assert -turn / 2 - 1e-9 <= found.bounds[0] < found.bounds[2] <= turn / 2 + 1e-9


def test_what_needs_no_turn_stays_the_same():
    polygons = np.array([shapely.box(-180, -90, 180, 90), shapely.box(0, 0, 1, 1)], object)
    assert within_turn(polygons, 360.0) is polygons
    assert len(within_turn(np.empty(0, object), 360.0)) == 0


def test_parts_without_points_are_no_polygons(tmp_path):
    path = tmp_path / "a.geojson"
    lines = [
        f'{{ "type": "Feature", "properties": {{ "name": "{name}" }}, '
        f'"geometry": {{ "type": "{kind}", "coordinates": {coordinates} }} }}'
        for name, kind, coordinates in (
            ("none", "Polygon", "[ ]"),
            ("two", "MultiPolygon", "[ [ ], [ ] ]"),
            ("half", "MultiPolygon", "[ [ ], [ [ [ 0, 0 ], [ 1, 0 ], [ 1, 1 ], [ 0, 0 ] ] ] ]"),
            ("[ ]", "Polygon", "[ [ [ 0, 0 ], [ 1, 0 ], [ 1, 1 ], [ 0, 0 ] ] ]"),
        )
    ]
    head = '{\n"type": "FeatureCollection",\n"features": [\n'
    path.write_text(head + ",\n".join(lines) + "\n]\n}\n", encoding="utf-8")
    assert keep_polygons(path) == 2
    frame = read_polygons(path)
    assert frame.name.tolist() == ["half", "[ ]"]
    assert frame.set_crs(None, allow_override=True).area.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "EPSG:4978"])
def test_without_a_way_to_degrees_geojson_is_refused(tmp_path, crs):
    mask = write_raster(tmp_path / "m.tif", blobs((20, 30))[None], crs=crs)
    with pytest.raises(OutputError, match=r"longitude and latitude .* gpkg"):
        rsclip.write_polygons(mask, tmp_path / "a.geojson")
    # What has a form for them takes them, and all of its files are there.
    path = rsclip.write_polygons(mask, tmp_path / "a.shp")
    assert pyogrio.read_info(path)["features"] > 3
    assert path.with_suffix(".prj").exists() == (crs != "EPSG:4978")


@pytest.mark.parametrize(
    ("crs", "pixel"),
    [
        ("ESRI:54009", 18.1e6),
        ("ESRI:54030", 17.1e6),
        ("+proj=sinu +R=6371007.181 +units=m", 20.1e6),
        ("+proj=geos +h=35786023 +lon_0=0 +sweep=y +ellps=WGS84", 5.6e6),
    ],
)
@pytest.mark.filterwarnings("ignore:.*beyond the edge")
def test_what_has_no_place_in_geojson_is_told_as_that(tmp_path, crs, pixel):
    side = pixel / 20
    mask = write_raster(
        tmp_path / "m.tif", blobs((40, 40), nodata=False)[None], crs=crs,
        transform=from_origin(-pixel, pixel, side, side),
    )  # fmt: skip
    with pytest.raises(WriteError, match=r"beyond the edge of the Earth.*gpkg") as told:
        rsclip.write_polygons(mask, tmp_path / "a.geojson")
    assert "disk" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["m.tif"]


def test_a_geojson_that_cannot_be_rewritten_stays_and_leaves_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "a.geojson"
    feature = b'{ "type": "Feature", "geometry": { "type": "Point", "coordinates": [ 0, 0 ] } }'
    before = b'{\n"features": [\n' + feature + b"\n]\n}\n"
    path.write_bytes(before)

    def refuse(_):
        raise OSError("no room")

    monkeypatch.setattr("rsclip.outputs.polygons.geojson._with_polygons", refuse)
    with pytest.raises(OSError, match="no room"):
        keep_polygons(path)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before]
