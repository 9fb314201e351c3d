"""The outline of a scene in longitude and latitude, as GeoJSON and STAC ask for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.earth import Earth
from rsclip.geo.units import PROJ_ERRORS, to_pyproj
from rsclip.outputs.polygons.geojson import within_turn
from rsclip.types import Shape

__all__ = ["Footprint", "footprint"]

Float = NDArray[np.float64]

# Points of a side; of one that turns by more degrees between two of them, as beside a pole, many.
_POINTS = 8
_MANY_POINTS = 32
_MOST_TURNED = 20.0
_DIGITS = 7
# About a centimetre: what is narrower is left by rounding alone.
_STEP = 10.0**-_DIGITS
_TURN = 360.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a scene lies.

    Attributes:
        geometry: GeoJSON, counter-clockwise, cut at the date line (RFC 7946, 3.1.9).
        bbox: West, south, east, north; across the date line west is greater than east (5.2).
    """

    geometry: dict[str, Any]
    bbox: list[float]


def footprint(crs: CRS | None, transform: Affine, shape: Shape) -> Footprint | None:
    """Return the outline of a scene, or None where it has none: no CRS, a corner off the Earth.

    Args:
        crs: The scene's.
        transform: From (column, row) to coordinates; may be rotated.
        shape: (height, width) in pixels.
    """
    if not crs:
        return None
    try:
        own = to_pyproj(crs)
        if own.is_geocentric:
            return None
        to_degrees = pyproj.Transformer.from_crs(own, "EPSG:4326", always_xy=True)
        lon, lat = _outline(to_degrees, transform, shape, _POINTS)
        if own.is_projected and np.abs(np.diff(lon)).max() > _MOST_TURNED:
            lon, lat = _outline(to_degrees, transform, shape, _MANY_POINTS)
        if own.is_projected and not _on_earth(crs, transform, shape):
            return None
        pole = _pole(to_degrees, transform, shape, lon, lat)
    except PROJ_ERRORS:
        return None
    # A grid that begins half a pixel beyond a pole ends there all the same.
    lat = lat.clip(-90, 90)
    if pole is not None:
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [pole, pole])
    # Rounded once, before anything is cut or put together: rounding at the end lets sides cross.
    outline = shapely.Polygon(np.column_stack([lon, lat]).round(_DIGITS))
    west, south, east, north = outline.bounds
    valid = _polygons_of(shapely.make_valid(outline))
    (parts,) = within_turn(np.array([valid], object), _TURN, _STEP)
    parts = _polygons_of(shapely.set_precision(_polygons_of(parts), _STEP))
    polygons = [part for part in shapely.get_parts(parts) if not _is_thin(part)]
    if not polygons:
        return None
    geometry = _geometry(polygons)
    if not shapely.is_valid(shapely.geometry.shape(geometry)):
        return None
    return Footprint(geometry, _bbox(west, south, east, north))


def _outline(
    to_degrees: pyproj.Transformer, transform: Affine, shape: Shape, points: int
) -> tuple[Float, Float]:
    """Return the closed outline; longitudes go on beyond 180."""
    height, width = shape
    along = np.arange(points) / points
    # Down the left side first: counter-clockwise on a north-up grid.
    none, all_, back = along * 0, along * 0 + 1, 1 - along
    cols = width * np.concatenate([none, along, all_, back, [0]])
    rows = height * np.concatenate([along, all_, back, none, [0]])
    lon, lat = to_degrees.transform(*(transform @ (cols, rows)))
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise ValueError("off the Earth")
    lon = np.degrees(np.unwrap(np.radians(lon)))
    # It ends where it began, whole turns away.
    lon[-1] = lon[0] + np.round((lon[-1] - lon[0]) / _TURN) * _TURN
    return lon, np.asarray(lat)


def _on_earth(crs: CRS, transform: Affine, shape: Shape) -> bool:
    height, width = shape
    corners = np.array([0, width, width, 0.0]), np.array([0, 0, height, height * 1.0])
    return bool(np.isfinite(Earth(crs, transform).at(*corners)[0]).all())


def _pole(
    to_degrees: pyproj.Transformer, transform: Affine, shape: Shape, lon: Float, lat: Float
) -> float | None:
    """Return the latitude of the pole that an outline runs around, or None."""
    if abs(lon[-1] - lon[0]) < _TURN / 2:
        return None
    for pole in (90.0, -90.0):
        x, y = to_degrees.transform(0.0, pole, direction="INVERSE")
        if np.isfinite(x) and np.isfinite(y):
            col, row = ~transform @ (x, y)
            if 0 <= col <= shape[1] and 0 <= row <= shape[0]:
                return pole
    return float(np.copysign(90, lat.mean()))


def _is_thin(polygon: Any) -> bool:
    west, south, east, north = polygon.bounds
    return bool(min(east - west, north - south) < 1.5 * _STEP)


def _polygons_of(geometry: Any) -> Any:
    """Return the polygons alone of what was made valid."""
    if geometry.geom_type != "GeometryCollection":
        return geometry
    return shapely.union_all([part for part in geometry.geoms if part.area > 0])


def _geometry(polygons: list[Any]) -> dict[str, Any]:
    found = [
        [
            [[round(x, _DIGITS), round(y, _DIGITS)] for x, y in ring.coords]
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        for polygon in (shapely.orient_polygons(each) for each in polygons)
    ]
    if len(found) == 1:
        return {"type": "Polygon", "coordinates": found[0]}
    return {"type": "MultiPolygon", "coordinates": found}


def _bbox(west: float, south: float, east: float, north: float) -> list[float]:
    if east - west >= _TURN - _STEP:
        west, east = -_TURN / 2, _TURN / 2
    else:
        turns = np.floor((west + _TURN / 2) / _TURN) * _TURN
        west, east = west - turns, east - turns
        if east > _TURN / 2:
            east -= _TURN
    return [round(float(side), _DIGITS) for side in (west, south, east, north)]
