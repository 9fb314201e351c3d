"""Areas on the authalic sphere, where every area is the ellipsoid's.

Neither the poles nor the date line need a case of their own.
"""

import math

import numpy as np
import pyproj
from numpy.typing import NDArray

from rsclip.earth import Earth

__all__ = ["authalic", "on_sphere", "quads", "sphere_scale", "triangles"]

Float = NDArray[np.float64]


def authalic(lat: Float, geod: pyproj.Geod) -> Float:
    """Return q: the area between the equator and a latitude is a^2 q / 2 a radian of longitude.

    Snyder, Map Projections: A Working Manual (1987), equation 3-12.
    """
    sine = np.sin(lat)
    if geod.es <= 0:
        return np.asarray(2 * sine)
    e = math.sqrt(geod.es)
    return np.asarray((1 - geod.es) * (sine / (1 - geod.es * sine**2) + np.arctanh(e * sine) / e))


def sphere_scale(geod: pyproj.Geod) -> float:
    """Return the square metres of one unit of area on the unit sphere."""
    return geod.a**2 * float(authalic(np.array(math.pi / 2), geod)) / 2


def on_sphere(earth: Earth, cols: Float, rows: Float) -> Float:
    """Return points of a grid on the unit sphere, (..., 3), NaN where there is no ground."""
    lon, lat = earth.at(cols, rows)
    sine = authalic(lat, earth.geod) / float(authalic(np.array(math.pi / 2), earth.geod))
    cosine = np.sqrt(np.clip(1 - sine**2, 0, None))
    return np.stack([cosine * np.cos(lon), cosine * np.sin(lon), sine], axis=-1)


def quads(a: Float, b: Float, c: Float, d: Float) -> Float:
    """Return the areas of quadrilaterals of corners (..., 3) in order, NaN where one is."""
    return np.asarray(np.abs(triangles(a, b, c) + triangles(a, c, d)))


def triangles(a: Float, b: Float, c: Float) -> Float:
    """Return the signed spherical excess (Van Oosterom and Strackee 1983).

    The triple product is taken of differences: of small triangles it would lose all digits.
    """
    with np.errstate(invalid="ignore"):
        triple = np.einsum("...i,...i", a, np.cross(b - a, c - a))
        dots = sum(np.einsum("...i,...i", p, q) for p, q in ((a, b), (b, c), (c, a)))
        return np.asarray(2 * np.arctan2(triple, 1 + dots))
