"""Grids: pixel size in metres, the working grid, reflection at the border."""

import math

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.errors import OptionError, SceneError
from rsclip.types import Shape

__all__ = ["pixel_size_m", "reflect", "utm_zone", "working_shape"]

_FARTHEST = 100.0


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
    points = [transform * end for end in ends]
    sizes = _geodesic(crs, points) or _planar(crs, points)
    if sizes is None or not all(math.isfinite(size) and size > 0 for size in sizes):
        return None
    return sizes


def _geodesic(crs: CRS, points: list[tuple[float, float]]) -> tuple[float, float] | None:
    try:
        own = pyproj.CRS.from_user_input(crs.to_wkt())
        base = own.geodetic_crs
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
    except (CRSError, ProjError):
        return None
    return float(metres[0]), float(metres[1])


def _planar(crs: CRS, points: list[tuple[float, float]]) -> tuple[float, float] | None:
    if crs.is_geographic:
        return None
    try:
        factor = crs.linear_units_factor[1]
    except Exception:  # rasterio raises its own CRSError or GDAL's, by the kind of CRS
        return None
    return (
        math.dist(points[0], points[1]) * factor,
        math.dist(points[2], points[3]) * factor,
    )


def working_shape(shape: Shape, size_m: tuple[float, float] | None, gsd: float) -> Shape:
    """Return the shape of the grid that covers the same extent with pixels of `gsd` metres.

    Raises:
        SceneError: The pixel size in metres is unknown.
        OptionError: `gsd` is 100 times off the scene's pixels or more.
    """
    if size_m is None:
        raise SceneError(
            "--gsd needs to know the pixel size in metres, and the scene's CRS does not tell it",
            remedy="Leave --gsd away, or give the scene its CRS with `gdal_edit.py -a_srs`.",
        )
    for size in size_m:
        # A pixel size is measured: 100 times off may come out as 99.99.
        if not 1.01 * size / _FARTHEST < gsd < size * _FARTHEST / 1.01:
            raise OptionError(
                f"{gsd:g} m is {_FARTHEST:g} times off or more from the scene's pixels "
                f"of {size_m[0]:.4g} x {size_m[1]:.4g} m",
                where="--gsd",
                remedy="Give the pixel size to work at, in metres, near the scene's own.",
            )
    height, width = (
        max(1, round(pixels * size / gsd)) for pixels, size in zip(shape, size_m, strict=True)
    )
    return height, width


def utm_zone(lon: float, lat: float) -> str:
    """Return the EPSG code of the UTM zone of a place, polar stereographic near the poles."""
    if abs(lat) > 84:
        return "EPSG:3413" if lat > 0 else "EPSG:3031"
    zone = int((lon + 180) % 360 // 6) + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def reflect(start: int, count: int, size: int) -> NDArray[np.intp]:
    """Return the pixels that `count` positions from `start` on mirror, as np.pad's "reflect".

    Args:
        start: First position.
        count: Number of positions.
        size: Pixels along the axis; positions outside 0..size-1 are mirrored at the last pixel.
    """
    if size == 1:
        return np.zeros(count, np.intp)
    position = np.abs(np.arange(start, start + count)) % (2 * size - 2)
    return np.where(position < size, position, 2 * size - 2 - position)
