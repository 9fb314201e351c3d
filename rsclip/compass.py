"""Where north is in an image."""

import math

import pyproj
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geometry import pixel_size_m
from rsclip.types import Shape

__all__ = ["north_angle"]

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
        own = pyproj.CRS.from_user_input(crs.to_wkt())
        base = own.geodetic_crs
        if base is None:
            return None
        to_degrees = pyproj.Transformer.from_crs(own, base, always_xy=True)
        lon, lat = to_degrees.transform(*(transform * centre))
        # Beyond a pole lies south: step back from it instead.
        step = _STEP_DEGREES if lat < 90 - _STEP_DEGREES else -_STEP_DEGREES
        x, y = to_degrees.transform(lon, lat + step, direction="INVERSE")
    except (CRSError, ProjError):
        return None
    if not all(math.isfinite(value) for value in (lon, lat, x, y)):
        return None
    col, row = ~transform * (x, y)
    right, up = (col - centre[0]) * sizes[1], (centre[1] - row) * sizes[0]
    if step < 0:
        right, up = -right, -up
    return math.degrees(math.atan2(right, up))
