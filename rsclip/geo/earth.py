"""Where the points of a grid lie on the Earth, and whether they do.

A map of the whole Earth, or what a geostationary satellite sees, has corners with no ground. PROJ
gives infinity for some of them and for others, such as those beside a sinusoidal map, a place that
the map has elsewhere already: going back tells them.
"""

import math

import numpy as np
import pyproj
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.units import geodetic_base, to_pyproj

__all__ = ["Earth", "authalic", "on_sphere", "quads", "sphere_scale", "triangles"]

Float = NDArray[np.float64]

# Units of the map by which a point may miss itself on the way to the Earth and back. Inverses of
# old projections are good to centimetres; what has another place is off by kilometres.
_MISSED = 10.0
# Degrees beyond a pole that are rounding.
_POLE = 1e-9
# Two meridians and two parallels; where the meridians are upright the map goes on without an end.
_MERIDIANS = np.array([20.0, 20.0, 130.0, 130.0])
_PARALLELS = np.array([0.0, 50.0, 0.0, 50.0])


class Earth:
    """Longitudes and latitudes of a grid, on the CRS's own ellipsoid.

    Args:
        crs: The grid's.
        transform: From (column, row) to coordinates; may be rotated.

    Attributes:
        geod: The ellipsoid.

    Raises:
        ValueError: The CRS knows no ellipsoid.
        ProjError: PROJ knows no way there.
    """

    def __init__(self, crs: CRS, transform: Affine) -> None:
        own = to_pyproj(crs)
        base = geodetic_base(own)
        geod = None if base is None else base.get_geod()
        if base is None or geod is None:
            raise ValueError("no ellipsoid")
        self.geod: pyproj.Geod = geod
        self._transform = transform
        self._unit = base.axis_info[0].unit_conversion_factor if base.axis_info else math.pi / 180
        self._to_base = pyproj.Transformer.from_crs(own, base, always_xy=True)
        self._returns = not own.is_geographic
        self._endless = self._returns and self._is_endless()

    def at(self, cols: Float, rows: Float) -> tuple[Float, Float]:
        """Return longitude and latitude in radians, NaN where there is no ground."""
        x, y = self._transform @ (cols, rows)
        lon, lat = (np.asarray(part, np.float64) for part in self._to_base.transform(x, y))
        on = np.isfinite(lon) & np.isfinite(lat)
        on &= np.abs(lat) * self._unit <= math.pi / 2 + _POLE
        if self._returns:
            back_x, back_y = self._to_base.transform(lon, lat, direction="INVERSE")
            with np.errstate(invalid="ignore"):
                on &= np.abs(back_y - y) <= _MISSED
                if not self._endless:
                    on &= np.abs(back_x - x) <= _MISSED
        return np.where(on, lon * self._unit, np.nan), np.where(on, lat * self._unit, np.nan)

    def _is_endless(self) -> bool:
        """Whether the map is a cylinder: beyond its side it is the Earth again."""
        degrees = math.pi / 180 / self._unit
        places = (_MERIDIANS * degrees, _PARALLELS * degrees)
        x = np.asarray(self._to_base.transform(*places, direction="INVERSE")[0])
        return bool(np.isfinite(x).all() and abs(np.diff(x)[::2]).max() <= _MISSED)


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
