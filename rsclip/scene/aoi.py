"""The area of interest: a file, WKT or box in any CRS, as a mask of pixels."""

import hashlib
import itertools
import math
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.transform import Affine

from rsclip.errors import AreaError, OptionError
from rsclip.files import expand
from rsclip.geo.units import to_pyproj
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.types import BoolArray, Shape, Window

__all__ = ["Aoi", "check_aoi", "read_aoi"]

_WHERE = "--aoi"
_FORMS = (
    "Give a vector file, WKT, or left,bottom,right,top; WKT and boxes are in the scene's CRS "
    "unless they begin with one, as in EPSG:4326;5.1,43.2,5.3,43.4."
)
# Edges are bent by a reprojection: they are cut into so many pieces first.
_PIECES = 64
_SURFACES = {1015: "PolyhedralSurface Z", 1016: "TIN Z", 15: "PolyhedralSurface", 16: "TIN"}
# What looks like a file's name: an ending, or folders; WKT has brackets.
_FILE = re.compile(r"^[^(]*(\.[A-Za-z]\w*|[/\\][^(]*)$")
# Side of the windows in which an area's pixels are looked for.
_LOOK = 1024


class Aoi:
    """An area on a scene's grid.

    Args:
        area: Polygon or multipolygon in the scene's CRS.
        transform: Of the scene, from (column, row) to coordinates.
        shape: (height, width) of the scene.
        digest: See there.

    Attributes:
        digest: SHA-256 of the area as it was given, whatever file it came from.

    Raises:
        AreaError: It misses the scene, or lies between the centres of its pixels.
    """

    def __init__(self, area: Any, transform: Affine, shape: Shape, digest: str = "") -> None:
        self.digest = digest
        # In pixels, where windows are rectangles whatever the grid's rotation.
        inverse = ~transform
        flat = [inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f]
        self._area = shapely.transform(area, lambda xy: _affine(xy, flat))
        shapely.prepare(self._area)
        height, width = shape
        if not self._area.intersects(shapely.box(0, 0, width, height)):
            raise AreaError("the area lies outside the scene", where=_WHERE, remedy=_FORMS)
        if not self._holds_pixels(shape):
            raise AreaError(
                "the area holds the centre of no pixel of the scene", where=_WHERE, remedy=_FORMS
            )

    def touches(self, row: float, col: float, height: float, width: float) -> bool:
        """Say whether a rectangle of scene pixels meets the area."""
        meets: bool = self._area.intersects(shapely.box(col, row, col + width, row + height))
        return meets

    def mask(self, window: Window, scale: tuple[float, float] = (1, 1)) -> BoolArray:
        """Return which pixels of a window have their centre in the area: bool (h, w).

        Args:
            window: Of the scene's grid, or of another one of the same extent.
            scale: (height, width) of one of its pixels in scene pixels.
        """
        rows, cols = scale
        if not self.touches(
            window.row * rows, window.col * cols, window.height * rows, window.width * cols
        ):
            return np.zeros(window.shape, np.bool_)
        shift = Affine.scale(cols, rows) @ Affine.translation(window.col, window.row)
        mask: BoolArray = geometry_mask([self._area], window.shape, shift, invert=True)
        return mask

    def _holds_pixels(self, shape: Shape) -> bool:
        for part in shapely.get_parts(self._area):
            left, top, right, bottom = part.bounds
            rows = range(max(math.floor(top), 0), min(math.ceil(bottom), shape[0]), _LOOK)
            cols = range(max(math.floor(left), 0), min(math.ceil(right), shape[1]), _LOOK)
            # Nearly always the first look finds some.
            for row, col in itertools.product(rows, cols):
                height, width = min(_LOOK, rows.stop - row), min(_LOOK, cols.stop - col)
                if self.mask(Window(row, col, height, width)).any():
                    return True
        return False


def read_aoi(text: str, crs: CRS | None, transform: Affine, shape: Shape) -> Aoi:
    """Read an area of interest onto a scene's grid.

    Args:
        text: A vector file, WKT, or "left,bottom,right,top" (bottom and top in either order); the
            latter two may begin with a CRS and a semicolon.
        crs: The scene's, or None.
        transform: The scene's.
        shape: (height, width) of the scene.

    Raises:
        OptionError: It cannot be read, is no area, is not valid, or has a CRS and the scene none.
        AreaError: It holds the centre of no pixel.
    """
    area, own = _polygons(text)
    digest = _digest(area, own)
    if own is not None and crs is None:
        raise OptionError(
            "the area has a CRS, the scene has none",
            where=_WHERE,
            remedy="Give the area in the scene's coordinates (pixels, if it has no others) and "
            "without a CRS, as WKT or a box; or give the scene its CRS: "
            "`gdal_edit.py -a_srs CRS SCENE`.",
        )
    if own is not None and crs is not None:
        area = _reproject(area, own, crs)
    return Aoi(area, transform, shape, digest)


def check_aoi(text: str) -> None:
    """Refuse an area of interest that can be none of any scene.

    Raises:
        OptionError: It cannot be read, is no area, or is not valid.
    """
    _polygons(text)


def _polygons(text: str) -> tuple[Any, pyproj.CRS | None]:
    area, own = _parse(text)
    area = shapely.union_all(shapely.get_parts(area)) if area.geom_type != "Polygon" else area
    if area.is_empty or not isinstance(area, shapely.Polygon | shapely.MultiPolygon):
        raise OptionError("no area: polygons are needed", where=_WHERE, remedy=_FORMS)
    return area, own


def _digest(area: Any, own: pyproj.CRS | None) -> str:
    """Return the SHA-256 of an area's vertices, whatever their order, and of its CRS."""
    crs = "" if own is None else own.to_wkt()
    return hashlib.sha256(shapely.to_wkb(shapely.normalize(area)) + crs.encode()).hexdigest()


def _parse(text: str) -> tuple[Any, pyproj.CRS | None]:
    path = expand(text)
    if _is_file(path):
        return _from_file(path)
    # As QGIS writes it, or shorter.
    file, colon, layer = text.rpartition("|layername=" if "|layername=" in text else ":")
    if colon and _is_file(expand(file)):
        return _from_file(expand(file), layer)
    head, semicolon, body = text.partition(";")
    own = _crs(head) if semicolon else None
    body = (body if semicolon else text).strip()
    numbers = body.split(",")
    try:
        if len(numbers) == 4 and "(" not in body:
            left, bottom, right, top = (float(number) for number in numbers)
            finite = all(map(math.isfinite, (left, bottom, right, top)))
            if not finite or left >= right or bottom == top:
                raise OptionError(f"{body!r} is no box", where=_WHERE, remedy=_FORMS)
            return shapely.box(left, min(bottom, top), right, max(bottom, top)), own
        area = shapely.from_wkt(body)
    except (ValueError, NotImplementedError, shapely.errors.GEOSException):
        what = "no such file" if _FILE.search(body) else "is no area"
        raise OptionError(f"{text!r}: {what}", where=_WHERE, remedy=_FORMS) from None
    _check(area, text)
    return area, own


def _from_file(path: Path, layer: str | None = None) -> tuple[Any, pyproj.CRS | None]:
    # Loaded only where there is a file to read.
    import geopandas
    import pyogrio

    try:
        # Tables without geometry, such as QGIS's layer_styles, are no areas.
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        if (len(layers) > 1) if layer is None else (layer not in layers):
            first = layers[0] if layers else "LAYER"
            what = f"has {len(layers)} layers" if layer is None else f"has no layer {layer!r}"
            raise OptionError(
                f"the file {what}: {', '.join(layers)}",
                where=path,
                remedy=f"Name one of them, as in --aoi={shlex.quote(f'{path}:{first}')}.",
            )
        frame = geopandas.read_file(path, layer=layer)
    except (*GDAL_ERRORS, shapely.errors.GEOSException) as error:
        reason = " ".join(str(error).split())
        # pyogrio knows the kinds of surfaces by their number in WKB only.
        for number, name in _SURFACES.items():
            reason = re.sub(rf"\b{number}\b", f"{number} ({name})", reason)
        raise OptionError(
            f"the file cannot be read: {reason}", where=path, remedy=_FORMS
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.geometry.isna().all():
        raise OptionError("the file holds no areas", where=path, remedy=_FORMS)
    shapes = frame.geometry.dropna()
    for area in shapes:
        _check(area, str(path))
    return shapely.union_all(shapes.to_numpy()), frame.crs


def _check(area: Any, where: str) -> None:
    if not shapely.is_valid(area):
        reason = shapely.is_valid_reason(area)
        raise OptionError(
            f"the area is not valid ({reason})", where=where, remedy="Mend it, as with QGIS."
        )


def _crs(text: str) -> pyproj.CRS:
    # PostGIS writes SRID=4326;POLYGON(...).
    name = text.strip().upper().replace("SRID=", "EPSG:")
    try:
        return pyproj.CRS.from_user_input(name)
    except GDAL_ERRORS:
        raise OptionError(f"{text!r} is no CRS", where=_WHERE, remedy=_FORMS) from None


def _reproject(area: Any, own: pyproj.CRS, crs: CRS) -> Any:
    left, bottom, right, top = area.bounds
    fine = shapely.segmentize(area, max(right - left, top - bottom) / _PIECES)
    try:
        change = pyproj.Transformer.from_crs(own, to_pyproj(crs), always_xy=True)
        moved = shapely.transform(fine, lambda xy: np.column_stack(change.transform(*xy.T)))
    except GDAL_ERRORS as error:
        raise OptionError(
            f"it cannot be reprojected: {error}",
            where=_WHERE,
            remedy="Give the area in the scene's own CRS.",
        ) from error
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise OptionError("it has no place in the scene's CRS", where=_WHERE, remedy=_FORMS)
    return shapely.make_valid(moved)


def _affine(xy: np.ndarray, flat: list[float]) -> np.ndarray:
    a, b, d, e, c, f = flat
    x, y = xy.T
    return np.column_stack([a * x + b * y + c, d * x + e * y + f])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
