"""Labels read on a scene's grid: of a raster, of polygons, of points."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import ReadError, SceneError
from rsclip.scene.gdal import guarded
from rsclip.scene.reading import open_raster
from rsclip.scene.source import in_shell
from rsclip.types import Shape, Window

__all__ = [
    "COARSE",
    "UNKNOWN",
    "Grid",
    "LabelSource",
    "Labels",
    "PointTruth",
    "PolygonTruth",
    "RasterTruth",
    "Values",
    "pixels_of",
    "transformable",
]

UNKNOWN = -1
COARSE = 1024
_COLOUR_BANDS = 3
Values = NDArray[np.int32]


class Grid(Protocol):
    """Where pixels lie: a scene, or a mask."""

    @property
    def crs(self) -> CRS | None:
        """The CRS, or None."""

    @property
    def transform(self) -> Affine:
        """From (column, row) to coordinates."""

    @property
    def shape(self) -> Shape:
        """(height, width)."""


class LabelSource(Protocol):
    """Where legend values come from."""

    def read(self, window: Window) -> Values:
        """Return a window's."""

    def coarse(self, shape: Shape) -> Values:
        """Return the whole, decimated."""

    def close(self) -> None:
        """Close the file."""


class Labels:
    """The truth on a scene's grid; a context manager.

    Args:
        source: Gives legend values.
        classes: Legend values that the truth's own legend has.
        shape: (height, width) of the scene.
        sparse: Single pixels are known, as points say.
    """

    def __init__(
        self, source: LabelSource, classes: tuple[int, ...], shape: Shape, *, sparse: bool = False
    ) -> None:
        self.sparse = sparse
        self._source = source
        self._shape = shape
        self.classes = classes

    def read(self, window: Window) -> Values:
        """Return int32 (h, w): legend values 1..N, 0 for other classes, -1 where it is unknown.

        Raises:
            ReadError: The pixels cannot be read.
        """
        return self._source.read(window)

    def coarse(self) -> Values:
        """Return the whole truth, decimated: what is smaller than its pixels may be missing.

        Raises:
            ReadError: The pixels cannot be read.
        """
        factor = min(1.0, COARSE / max(self._shape))
        rows, cols = (max(round(size * factor), 1) for size in self._shape)
        return self._source.coarse((rows, cols))

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RasterTruth:
    """A raster of labels on a scene's grid.

    Args:
        path: The raster.
        scene: Open.
        own: Value in the file -> legend value; of three bands or more, their colour as
            `truth_classes.pack_colour` gives it.
        other: Legend value of all other values.

    Attributes:
        placed: Coordinates tell where it lies; else it is read pixel by pixel.
        transform: From the file's pixels to coordinates.

    Raises:
        SceneError: It is not known where on the scene it lies.
    """

    def __init__(self, path: Path, scene: Grid, own: Mapping[int, int], *, other: int = 0) -> None:
        self._path = path
        self._other = other
        own = own or {0: other}
        self._known = np.array(sorted(own), np.int64)
        self._meant = np.array([own[value] for value in sorted(own)], np.int32)
        self._dataset = open_raster(str(path))
        self.transform: Affine = self._dataset.transform
        self.placed = transformable(self._dataset.crs, scene.crs)
        if self.placed:
            # Outside the labels and where they have no data, alpha is 0.
            self._grid = WarpedVRT(
                self._dataset,
                crs=scene.crs,
                add_alpha=ColorInterp.alpha not in self._dataset.colorinterp,
                transform=scene.transform,
                height=scene.shape[0],
                width=scene.shape[1],
                resampling=Resampling.nearest,
            )
        elif self._dataset.shape == scene.shape:
            self._grid = self._dataset
        else:
            kind = "a CRS of their own, not tied to the Earth," if self._dataset.crs else "no CRS"
            if self._dataset.crs and _on_earth(self._dataset.crs):
                kind = "a CRS that the scene's cannot be compared with"
            self._dataset.close()
            raise SceneError(
                f"the labels have {kind} and {self._dataset.shape} pixels, the scene has "
                f"{scene.shape}: it is not known where they lie",
                where=path,
                remedy=_placing(path, scene),
            )

    def read(self, window: Window) -> Values:
        """Return legend values of a window, int32 (h, w); `UNKNOWN` where there is no label."""
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        values, valid = self._raw(window=place)
        return self._labels(values, valid)

    def coarse(self, shape: Shape) -> Values:
        """Return legend values of the whole, decimated to a shape."""
        values, valid = self._raw(out_shape=shape)
        return self._labels(values, valid)

    def values(self, window: Window) -> set[Any]:
        """Return the valid values in a window as the file has them."""
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        values, valid = self._raw(window=place)
        return {*np.unique(values[valid]).tolist()}

    def all_values(self, shape: Shape) -> set[Any]:
        """Return the valid values of a decimated read of the whole."""
        factor = min(1.0, COARSE / max(shape))
        rows, cols = (max(round(size * factor), 1) for size in shape)
        values, valid = self._raw(out_shape=(rows, cols))
        return {*np.unique(values[valid]).tolist()}

    def _raw(self, **what: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        with guarded(self._path, ReadError, what="labels cannot be read"):
            valid = self._grid.dataset_mask(**what) > 0
            if self._dataset.count >= _COLOUR_BANDS:
                red, green, blue = self._grid.read([1, 2, 3], out_dtype="int32", **what)
                values = red << 16 | green << 8 | blue
            else:
                values = self._grid.read(1, **what)
        # NaN says nothing, declared as nodata or not.
        return values, valid & ~np.isnan(values)

    def _labels(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Values:
        # The usual types have few values: each is looked up once.
        few = values.dtype in (np.uint8, np.uint16)
        every = np.arange(np.iinfo(values.dtype).max + 1) if few else values
        place = np.searchsorted(self._known, every).clip(max=len(self._known) - 1)
        found: Values = np.where(self._known[place] == every, self._meant[place], self._other)
        labels = found[values] if few else found
        labels[~valid] = UNKNOWN
        return labels

    def close(self) -> None:
        """Close the file."""
        self._grid.close()
        self._dataset.close()


class PolygonTruth:
    """Polygons of labels on a scene's grid; a pixel has the class around its centre.

    Args:
        shapes: Polygons in the scene's CRS.
        values: Their legend values.
        scene: Open.
    """

    def __init__(self, shapes: NDArray[Any], values: Values, scene: Grid) -> None:
        self._shapes = shapes
        self._values = values
        self._transform = scene.transform
        self._shape = scene.shape
        self._tree = shapely.STRtree(shapes)

    def read(self, window: Window) -> Values:
        """Return legend values of a window, int32 (h, w); `UNKNOWN` where there is no label."""
        shift = self._transform @ Affine.translation(window.col, window.row)
        return self._burnt(
            shift, window.shape, np.sort(self._tree.query(_box(shift, window.shape)))
        )

    def coarse(self, shape: Shape) -> Values:
        """Return legend values of the whole, decimated to a shape."""
        scale = Affine.scale(self._shape[1] / shape[1], self._shape[0] / shape[0])
        # What is thinner than a pixel shows too.
        every = np.arange(len(self._shapes))
        return self._burnt(self._transform @ scale, shape, every, all_touched=True)

    def overlaps(self) -> bool:
        """Say whether any polygon meets the scene."""
        whole = _box(self._transform, self._shape)
        return bool(len(self._tree.query(whole, predicate="intersects")))

    def _burnt(
        self, transform: Affine, shape: Shape, which: NDArray[Any], *, all_touched: bool = False
    ) -> Values:
        if not len(which):
            return np.full(shape, UNKNOWN, np.int32)
        pairs = zip(self._shapes[which], self._values[which].tolist(), strict=True)
        labels: Values = rasterize(
            pairs, shape, fill=UNKNOWN, transform=transform, dtype="int32", all_touched=all_touched
        )
        return labels

    def close(self) -> None:
        """Close nothing: all is in memory."""


class PointTruth:
    """Points of labels on a scene's grid; only the pixels around them are known.

    Args:
        points: float (N, 2), x and y in the scene's CRS.
        values: Their legend values.
        scene: Open.

    Attributes:
        outside: Points that lie on no pixel of the scene.
        shared: Points that lie on the pixel of another; the last one counts.
    """

    def __init__(self, points: NDArray[np.float64], values: Values, scene: Grid) -> None:
        self._shape = scene.shape
        rows, cols = pixels_of(points, scene)
        inside = (rows >= 0) & (rows < scene.shape[0]) & (cols >= 0) & (cols < scene.shape[1])
        order = np.argsort(rows[inside], kind="stable")
        self._rows, self._cols = rows[inside][order], cols[inside][order]
        self._values = values[inside][order]
        self.outside = int((~inside).sum())
        self.shared = len(order) - len(
            {*zip(self._rows.tolist(), self._cols.tolist(), strict=True)}
        )

    def read(self, window: Window) -> Values:
        """Return legend values of a window, int32 (h, w); `UNKNOWN` where there is no point."""
        first, stop = np.searchsorted(self._rows, (window.row, window.row_stop))
        rows, cols = self._rows[first:stop] - window.row, self._cols[first:stop] - window.col
        within = (cols >= 0) & (cols < window.width)
        labels: Values = np.full(window.shape, UNKNOWN, np.int32)
        labels[rows[within], cols[within]] = self._values[first:stop][within]
        return labels

    def coarse(self, shape: Shape) -> Values:
        """Return legend values of the whole, decimated to a shape."""
        labels: Values = np.full(shape, UNKNOWN, np.int32)
        scale = [small / large for small, large in zip(shape, self._shape, strict=True)]
        places = (self._rows * scale[0]).astype(int), (self._cols * scale[1]).astype(int)
        labels[places] = self._values
        return labels

    def close(self) -> None:
        """Close nothing: all is in memory."""


def pixels_of(
    points: NDArray[np.float64], scene: Grid
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of the pixels around points, (N,) each; any number outside."""
    inverse = ~scene.transform
    x, y = points.T
    cols = np.floor(inverse.a * x + inverse.b * y + inverse.c).astype(np.int64)
    rows = np.floor(inverse.d * x + inverse.e * y + inverse.f).astype(np.int64)
    return rows, cols


def transformable(one: CRS | None, other: CRS | None) -> bool:
    """Say whether coordinates can go from one CRS to the other."""
    if not one or not other:
        return False
    if _on_earth(one) and _on_earth(other):
        return True
    # GDAL takes any two local ones of a unit for the same.
    return bool(one.to_wkt() == other.to_wkt())


def _placing(path: Path, scene: Grid) -> str:
    if not scene.crs:
        return "Give labels of the scene's size."
    crs = shlex.quote(scene.crs.to_string())
    return (
        "If their coordinates are the scene's, say so: "
        f"`gdal_edit.py -a_srs {crs} {in_shell(path)}`; or give labels of the scene's size."
    )


def _on_earth(crs: CRS) -> bool:
    return bool(crs.is_geographic or crs.is_projected)


def _box(transform: Affine, shape: Shape) -> Any:
    rows, cols = shape
    corners = [(0, 0), (cols, 0), (cols, rows), (0, rows)]
    return shapely.Polygon([transform @ corner for corner in corners])
