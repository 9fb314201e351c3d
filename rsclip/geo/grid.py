"""A grid's pixel size in metres, its direction of north, its UTM zone."""

import math

import numpy as np
import pyproj
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.units import PROJ_ERRORS, geodetic_base, metres_per_unit, to_pyproj
from rsclip.types import Shape

__all__ = ["north_angle", "pixel_size_m", "utm_zone"]


def pixel_size_m(crs: CRS | None, transform: Affine, shape: Shape) -> tuple[float, float] | None:
    """Measure the pixel at a grid's centre along its two edges, on the ellipsoid.

    Args:
        crs: Any coordinate reference system.
        transform: From (column, row) to its coordinates; may be rotated.
        shape: (height, width) in pixels.

    Returns:
        Metres from one row to the next and from one column to the next. Where the centre has no
        place on the ellipsoid (a geostationary view past the horizon) the length in the CRS's own
        units; None without a CRS.
    """
    if not crs:
        return None
    row, col = shape[0] / 2, shape[1] / 2
    ends = [(col, row - 0.5), (col, row + 0.5), (col - 0.5, row), (col + 0.5, row)]
    points = [transform @ end for end in ends]
    sizes = _geodesic(crs, points) or _planar(crs, points)
    if sizes is None or not all(math.isfinite(size) and size > 0 for size in sizes):
        return None
    return sizes


def _geodesic(crs: CRS, points: list[tuple[float, float]]) -> tuple[float, float] | None:
    try:
        own = to_pyproj(crs)
        base = geodetic_base(own)
        if base is None:
            return None
        to_degrees = pyproj.Transformer.from_crs(own, base, always_xy=True)
        x, y = zip(*points, strict=True)
        lon, lat = to_degrees.transform(x, y)
        if not np.isfinite([*lon, *lat]).all() or max(map(abs, lat)) > 90:
            return None
        geod = base.get_geod()
        if geod is None:
            return None
        metres = geod.inv([lon[0], lon[2]], [lat[0], lat[2]], [lon[1], lon[3]], [lat[1], lat[3]])[2]
    except PROJ_ERRORS:
        return None
    return float(metres[0]), float(metres[1])


def _planar(crs: CRS, points: list[tuple[float, float]]) -> tuple[float, float] | None:
    try:
        factor = metres_per_unit(crs)
    except PROJ_ERRORS:
        return None
    return (
        math.dist(points[0], points[1]) * factor,
        math.dist(points[2], points[3]) * factor,
    )


def utm_zone(lon: float, lat: float) -> str:
    """Return the EPSG code of the UTM zone of a place, polar stereographic near the poles."""
    if abs(lat) > 84:
        return "EPSG:3413" if lat > 0 else "EPSG:3031"
    zone = int((lon + 180) % 360 // 6) + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


_STEP_DEGREES = 1e-4


def north_angle(crs: CRS | None, transform: Affine, shape: Shape) -> float | None:
    """Return the direction of true north at a grid's centre.

    Args:
        crs: Any coordinate reference system.
        transform: From (column, row) to its coordinates; may be rotated.
        shape: (height, width) in pixels.

    Returns:
        Degrees clockwise from the image's top, -180 to 180, on the ground (pixels need not be
        square); None where the centre has no place on Earth.
    """
    sizes = pixel_size_m(crs, transform, shape)
    if not crs or sizes is None or transform.is_degenerate:
        return None
    centre = shape[1] / 2, shape[0] / 2
    try:
        own = to_pyproj(crs)
        base = geodetic_base(own)
        if base is None:
            return None
        to_degrees = pyproj.Transformer.from_crs(own, base, always_xy=True)
        lon, lat = to_degrees.transform(*(transform @ centre))
        # Beyond a pole lies south: step back from it instead.
        step = _STEP_DEGREES if lat < 90 - _STEP_DEGREES else -_STEP_DEGREES
        x, y = to_degrees.transform(lon, lat + step, direction="INVERSE")
    except PROJ_ERRORS:
        return None
    if not all(math.isfinite(value) for value in (lon, lat, x, y)):
        return None
    col, row = ~transform @ (x, y)
    right, up = (col - centre[0]) * sizes[1], (centre[1] - row) * sizes[0]
    if step < 0:
        right, up = -right, -up
    return math.degrees(math.atan2(right, up))
