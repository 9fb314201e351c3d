"""Polygons in longitude and latitude: valid, cut at the date line, and as large as before."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from rsclip.batch.lonlat import to_lonlat

GEOD = pyproj.Geod(ellps="WGS84")
EDGE = 20037508.342789244


def frame(crs, *polygons):
    return geopandas.GeoDataFrame({"value": range(len(polygons))}, geometry=list(polygons), crs=crs)


def box(x, y, width, height=None):
    return shapely.box(x, y, x + width, y + (height or width))


def ground(geometry):
    parts = [shapely.geometry.polygon.orient(part) for part in shapely.get_parts(geometry)]
    return sum(GEOD.geometry_area_perimeter(part)[0] for part in parts)


def on_its_side(geometry):
    parts = shapely.get_parts(geometry)
    bounds = shapely.bounds(parts)
    return (
        shapely.is_valid(geometry)
        and set(shapely.get_type_id(parts)) == {3}
        and (bounds >= [-180, -90, -180, -90]).all()
        and (bounds <= [180, 90, 180, 90]).all()
        and (bounds[:, 2] - bounds[:, 0] < 180).all()
    )


# Zones 1 and 60 of UTM on both hemispheres, Mercator about the Pacific, an equal-area CRS there.
@given(
    st.sampled_from(
        [
            "EPSG:32601",
            "EPSG:32660",
            "EPSG:32701",
            "EPSG:32760",
            "EPSG:3832",
            "+proj=laea +lat_0=-20 +lon_0=180",
        ]
    ),
    # To a tenth of a millimetre: GEOS finds no polygon valid that reaches 1e-308 degrees north.
    st.floats(-60, 60).map(lambda lat: round(lat, 9)),
    st.floats(-0.05, 0.05),
    st.floats(100, 5000),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_near_the_date_line_every_polygon_lies_on_its_side(crs, lat, off, width, with_hole):
    to_own = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    polygon = box(*to_own.transform(180 + off, lat), width)
    if with_hole:
        left, low = polygon.bounds[:2]
        polygon -= box(left + width / 4, low + width / 4, width / 3)
    (found,) = to_lonlat(frame(crs, polygon)).geometry
    assert on_its_side(found)
    # Edges are straight in two projections: of a few kilometres, that is no difference.
    lon, lat = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(
        *shapely.get_coordinates(shapely.segmentize(polygon, width / 20)).T
    )
    scale = pyproj.Proj(crs).get_factors(lon.mean() if np.ptp(lon) < 180 else 180, lat.mean())
    assert ground(found) == pytest.approx(polygon.area / scale.areal_scale, rel=2e-3)


def test_across_the_date_line_there_are_parts_on_both_sides():
    polygon = box(EDGE - 1e5, 0, 2e5, 1e5) - box(EDGE - 2e4, 2e4, 4e4)
    (found,) = to_lonlat(frame("EPSG:3857", polygon)).geometry
    assert on_its_side(found)
    east, west = sorted(found.geoms, key=lambda part: -part.bounds[2])
    assert (east.bounds[2], west.bounds[0]) == (180, -180)
    assert east.area == pytest.approx(west.area)
    # What only touches it stays one polygon on its own side.
    touching = frame("EPSG:3857", box(EDGE - 1e5, 0, 1e5), box(-EDGE, 0, 1e5))
    left, right = to_lonlat(touching).geometry
    assert (left.geom_type, right.geom_type) == ("Polygon", "Polygon")
    assert (left.bounds[2], right.bounds[0]) == (180, -180)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
def test_around_a_pole_a_polygon_reaches_the_pole(crs, pole):
    whole, hole = box(-1e5, -1e5, 2e5), box(-1e4, -1e4, 2e4)
    filled, ring, beside = to_lonlat(
        frame(crs, whole, whole - hole, box(-3e5, -3e5, 4e5) - box(-2e5, -2e5, 1e5))
    ).geometry
    assert all(map(shapely.is_valid, (filled, ring, beside)))
    assert pole in filled.bounds
    assert pole not in ring.bounds
    assert filled.area == pytest.approx(ring.area, rel=0.2)
    assert pole in beside.bounds
    assert beside.interiors


def test_a_map_of_the_world_stays_one():
    world = frame("EPSG:3857", box(-EDGE, -1e7, 2 * EDGE, 2e7))
    assert to_lonlat(world).geometry[0].bounds[::2] == (-180, 180)
    turned = frame("EPSG:4326", box(0, -90, 360, 180))
    assert to_lonlat(turned).geometry[0].equals(box(-180, -90, 360, 180))


def test_what_lies_off_the_earth_is_left_out():
    seen_from_space = "+proj=geos +h=35785831 +lon_0=0"
    kept = to_lonlat(frame(seen_from_space, box(0, 0, 1e5), box(5.4e6, 0, 1e6)))
    assert list(kept["value"]) == [0]
    assert kept.geometry.is_valid.all()
