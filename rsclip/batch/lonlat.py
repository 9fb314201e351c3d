"""Polygons of any CRS in longitude and latitude: valid, and cut at the date line."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from rsclip.outputs.polygons.geojson import within_turn

if TYPE_CHECKING:
    import geopandas

__all__ = ["WGS84", "to_lonlat"]

Float = NDArray[np.float64]

WGS84 = "EPSG:4326"
_TURN = 360.0
# Points of an edge between which its longitude turns by less than half a turn.
_STEPS = 16
# Degrees, a tenth of a millimetre: what is narrower comes from rounding at the date line.
_THIN = 1e-9


def to_lonlat(frame: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """Return polygons in WGS84, valid and between 180 degrees west and east.

    A polygon across the date line becomes a multipolygon with parts on both sides of it, one
    around a pole reaches to the pole's latitude.

    Args:
        frame: Polygons in a CRS that has longitudes and latitudes. Without them, such as beyond
            the edge of the Earth, a polygon is left out.
    """
    to_degrees = pyproj.Transformer.from_crs(frame.crs, WGS84, always_xy=True)
    own = frame.geometry.to_numpy()
    polygons = shapely.transform(own, to_degrees.transform, interleaved=False)
    on_earth = np.isfinite(shapely.bounds(polygons)).all(axis=1)
    frame, own, polygons = frame[on_earth], own[on_earth], polygons[on_earth]
    west, _, east, _ = shapely.bounds(polygons).T
    wide = np.flatnonzero(east - west >= _TURN / 2)
    for index in wide.tolist():
        parts = [_polygon(part, to_degrees) for part in shapely.get_parts(own[index])]
        polygons[index] = shapely.union_all(parts)
    polygons = within_turn(polygons, _TURN)
    for index in {*wide.tolist(), *np.flatnonzero(~shapely.is_valid(polygons)).tolist()}:
        polygons[index] = _polygonal(shapely.make_valid(polygons[index]))
    return frame.set_geometry(polygons, crs=WGS84)


def _polygon(polygon: Any, to_degrees: pyproj.Transformer) -> Any:
    """Return a polygon whose longitudes run on where those of single points jump by a turn."""
    outer, *holes = (_filled(ring, to_degrees) for ring in (polygon.exterior, *polygon.interiors))
    return shapely.difference(outer, shapely.union_all(holes)) if holes else outer


def _filled(ring: Any, to_degrees: pyproj.Transformer) -> Any:
    corners = shapely.get_coordinates(ring)
    steps = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    points = corners[:-1, None] + np.diff(corners, axis=0)[:, None] * steps
    points = np.concatenate([points.reshape(-1, 2), corners[-1:]])
    lon, lat = to_degrees.transform(*points.T)
    lon, lat = np.unwrap(lon, period=_TURN)[::_STEPS], np.asarray(lat)[::_STEPS]
    if abs(lon[-1] - lon[0]) > _TURN / 2:
        pole = _pole(ring, to_degrees, lat)
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    filled = shapely.make_valid(shapely.Polygon(np.column_stack([lon, lat])))
    (cut,) = within_turn(np.array([filled], object), _TURN)
    return cut


def _pole(ring: Any, to_degrees: pyproj.Transformer, lat: Float) -> float:
    """Return the latitude of the pole that a ring runs around."""
    inside = shapely.Polygon(ring)
    for pole in (90.0, -90.0):
        x, y = to_degrees.transform(0.0, pole, direction="INVERSE")
        if np.isfinite(x) and np.isfinite(y) and inside.intersects(shapely.Point(x, y)):
            return pole
    return 90.0 if lat.mean() > 0 else -90.0


def _polygonal(geometry: Any) -> Any:
    """Return the polygons of a geometry, without slivers that come from rounding."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    west, _, east, _ = shapely.bounds(parts).T
    kept = parts[(shapely.get_type_id(parts) == 3) & (east - west > _THIN)]
    return kept[0] if len(kept) == 1 else shapely.multipolygons(kept)
