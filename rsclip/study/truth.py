"""The truth that labels are compared with: a raster or polygons, read on a scene's own grid."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import LegendError, ReadError, SceneError, warn
from rsclip.scene.scene import Scene
from rsclip.study.truth_classes import LabelClasses, names_nothing, names_unknown
from rsclip.types import Shape, Window
from rsclip.vectors.label_raster import LabelRaster
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    import geopandas

__all__ = ["Labels", "open_labels"]

_UNKNOWN = -1
_COLUMNS = ("class_name", "class", "name", "label", "class_id", "value", "dn")
_PROBE = 256
_COARSE = 1024
_SHOWN = 6

Values = NDArray[np.int32]


class _Source(Protocol):
    def read(self, window: Window) -> Values: ...

    def coarse(self, shape: Shape) -> Values: ...

    def close(self) -> None: ...


class Labels:
    """The truth on a scene's grid; a context manager.

    Args:
        source: Gives legend values.
        classes: Legend values that the truth's own legend has.
        shape: (height, width) of the scene.
    """

    def __init__(self, source: _Source, classes: tuple[int, ...], shape: Shape) -> None:
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
        factor = min(1.0, _COARSE / max(self._shape))
        rows, cols = (max(round(size * factor), 1) for size in self._shape)
        return self._source.coarse((rows, cols))

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_labels(path: str | Path, scene: Scene, legend: Legend) -> Labels:
    """Open the truth of a scene.

    Classes are matched by name or word, whatever the case, underscores or spaces at the ends;
    where there are no names, values are the classes' own codes, or else the legend's values, and it
    is said which value is taken for what. Classes that the legend lacks are named.
    Another CRS or grid is read nearest-neighbour; another CRS is said.

    Args:
        path: A raster of class values, or a vector file of polygons with a column `class_name`,
            `class`, `name`, `label`, `class_id`, `value` or `DN`.
        scene: An open scene.
        legend: Classes.

    Raises:
        SceneError: The file cannot be read, holds no labels, or does not overlap the scene.
        LegendError: It has no class in common with the legend.
    """
    path = Path(path)
    if not path.is_file():
        raise SceneError("no such file of labels", where=path, remedy="Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rasterio.open(path).close()
    except RasterioError:
        return _open_vector(path, scene, legend)
    return _open_raster(path, scene, legend)


class _Raster:
    def __init__(self, path: Path, scene: Scene, own: Mapping[int, int]) -> None:
        self._path = path
        self._known = np.array(sorted(own), np.int64)
        self._meant = np.array([own[value] for value in sorted(own)], np.int32)
        self._dataset = rasterio.open(path)
        self.placed = bool(self._dataset.crs and scene.crs)
        if self.placed:
            # Outside the labels and where they have no data, alpha is 0.
            self._grid = WarpedVRT(
                self._dataset,
                crs=scene.crs,
                add_alpha=True,
                transform=scene.transform,
                height=scene.shape[0],
                width=scene.shape[1],
                resampling=Resampling.nearest,
            )
        elif self._dataset.shape == scene.shape:
            self._grid = self._dataset
        else:
            self._dataset.close()
            raise SceneError(
                f"labels of {self._dataset.shape} pixels without a CRS do not fit the scene's "
                f"{scene.shape}",
                where=path,
                remedy="Give them the scene's CRS, or its size.",
            )

    def read(self, window: Window) -> Values:
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        values, valid = self._raw(window=place)
        return self._labels(values, valid)

    def coarse(self, shape: Shape) -> Values:
        values, valid = self._raw(out_shape=shape)
        return self._labels(values, valid)

    def values(self, window: Window) -> set[Any]:
        """Return the valid values in a window as the file has them."""
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        values, valid = self._raw(window=place)
        return {*np.unique(values[valid]).tolist()}

    def all_values(self, shape: Shape) -> set[Any]:
        """Return the valid values of a decimated read of the whole."""
        factor = min(1.0, _COARSE / max(shape))
        rows, cols = (max(round(size * factor), 1) for size in shape)
        values, valid = self._raw(out_shape=(rows, cols))
        return {*np.unique(values[valid]).tolist()}

    def _raw(self, **what: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        try:
            values, valid = self._grid.read(1, **what), self._grid.dataset_mask(**what) > 0
        except RasterioError as error:
            raise ReadError(f"labels cannot be read: {error}", where=self._path) from error
        # NaN says nothing, declared as nodata or not.
        return values, valid & ~np.isnan(values)

    def _labels(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Values:
        # The usual types have few values: each is looked up once.
        few = values.dtype in (np.uint8, np.uint16)
        every = np.arange(np.iinfo(values.dtype).max + 1) if few else values
        place = np.searchsorted(self._known, every).clip(max=len(self._known) - 1)
        found: Values = np.where(self._known[place] == every, self._meant[place], 0)
        labels = found[values] if few else found
        labels[~valid] = _UNKNOWN
        return labels

    def close(self) -> None:
        self._grid.close()
        self._dataset.close()


class _Vector:
    def __init__(self, shapes: NDArray[Any], values: Values, scene: Scene) -> None:
        self._shapes = shapes
        self._values = values
        self._transform = scene.transform
        self._shape = scene.shape
        self._tree = shapely.STRtree(shapes)

    def read(self, window: Window) -> Values:
        shift = self._transform @ Affine.translation(window.col, window.row)
        return self._burnt(
            shift, window.shape, np.sort(self._tree.query(_box(shift, window.shape)))
        )

    def coarse(self, shape: Shape) -> Values:
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
            return np.full(shape, _UNKNOWN, np.int32)
        pairs = zip(self._shapes[which], self._values[which].tolist(), strict=True)
        labels: Values = rasterize(
            pairs, shape, fill=_UNKNOWN, transform=transform, dtype="int32", all_touched=all_touched
        )
        return labels

    def close(self) -> None:
        pass


def _open_raster(path: Path, scene: Scene, legend: Legend) -> Labels:
    classes = LabelClasses(legend)
    with LabelRaster(path) as raster:
        names = raster.names()
        crs = raster.crs
    # As with polygons: of such a place nothing is known. Names of nothing are of an empty entry.
    unknown = {
        value: _UNKNOWN
        for value, name in names.items()
        if name.strip() and names_unknown(name) and classes.named(name) is None
    }
    names = {value: name for value, name in names.items() if value not in unknown}
    if 0 in names and classes.named(names[0]) is None and names_nothing(names[0]):
        del names[0]
    if names:
        found = {value: classes.named(name) for value, name in names.items()}
        own = {value: item for value, item in found.items() if item is not None}
        if not own:
            raise _nothing_common(path, legend, names.values())
        own |= unknown
    else:
        own = {**classes.by_value, **unknown}
    source = _Raster(path, scene, own)
    labels = Labels(source, tuple(sorted({*own.values()} - {0, _UNKNOWN})), scene.shape)
    try:
        _check_raster(source, labels, path, scene, legend)
    except BaseException:
        labels.close()
        raise
    _say_crs(path, crs, scene)
    if names:
        _say_left_out(path, [name for value, name in names.items() if value not in own])
    else:
        warn(f"{path}: the labels have no class names: {classes.taken()}")
        others = source.all_values(scene.shape) - {0, *own}
        _say_left_out(path, [_written(value) for value in sorted(others)])
    return labels


def _open_vector(path: Path, scene: Scene, legend: Legend) -> Labels:
    import geopandas
    from pyogrio.errors import DataSourceError

    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, OSError, ValueError) as error:
        raise SceneError(
            f"neither a raster nor a vector file of labels: {error}", where=path
        ) from error
    if "geometry" not in frame.columns:
        raise SceneError("a table without geometries", where=path, remedy="Labels are polygons.")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    kinds = sorted({*frame.geom_type} - {"Polygon", "MultiPolygon"})
    if kinds:
        raise SceneError(f"it holds {', '.join(kinds)}", where=path, remedy="Labels are polygons.")
    values, left_out = _classes_of(frame, path, legend)
    crs = None if frame.crs is None else CRS.from_user_input(frame.crs.to_wkt())
    if crs is not None and scene.crs:
        frame = frame.to_crs(scene.crs.to_wkt())
    # A polygon without a class says nothing of its place.
    told = values != _UNKNOWN
    source = _Vector(np.asarray(frame.geometry)[told], values[told], scene)
    if not source.overlaps():
        raise _elsewhere(path)
    _say_crs(path, crs, scene)
    _say_left_out(path, left_out)
    return Labels(source, tuple(sorted({*values.tolist()} - {0, _UNKNOWN})), scene.shape)


def _classes_of(
    frame: "geopandas.GeoDataFrame", path: Path, legend: Legend
) -> tuple[Values, list[str]]:
    """Return each polygon's legend value, and the names of classes that the legend lacks.

    The first column counts in which a class of the legend stands.
    """
    by_name = {str(name).casefold(): name for name in frame.columns}
    columns = [by_name[name] for name in _COLUMNS if name in by_name]
    if not columns:
        raise LegendError(
            "no column tells the class", where=path, remedy=f"It is one of {', '.join(_COLUMNS)}."
        )
    classes = LabelClasses(legend)
    for column in columns:
        entries = list(frame[column])
        values, numbers, others = np.full(len(entries), _UNKNOWN, np.int32), False, []
        for index, entry in enumerate(entries):
            if entry is None or entry != entry:
                continue
            found = classes.named(entry) if isinstance(entry, str) else None
            if found is None:
                found = classes.numbered(entry)
                numbers = numbers or found is not None
            if found is None:
                if names_unknown(_written(entry)):
                    continue
                others.append(_written(entry))
            values[index] = found or 0
        if (values > 0).any():
            if numbers:
                warn(f"{path}: column {column}: {classes.taken()}")
            return values, others
    raise _nothing_common(path, legend, map(_written, frame[columns[0]].dropna()))


def _written(value: Any) -> str:
    """Return a label as its file's user knows it."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
    return str(value)


def _listed(names: Iterable[str]) -> str:
    each = list(dict.fromkeys(names))
    return ", ".join(each[:_SHOWN]) + (" ..." if len(each) > _SHOWN else "")


def _nothing_common(path: Path, legend: Legend, names: Iterable[str]) -> LegendError:
    ours = ", ".join(item.name for item in legend.foreground)
    return LegendError(
        f"no class in common: the labels have {_listed(names)}, the legend {ours}",
        where=path,
        remedy="Name classes as the labels do, with your words as synonyms.",
    )


def _elsewhere(path: Path) -> SceneError:
    return SceneError(
        "the labels do not overlap the scene", where=path, remedy="Check their CRS and place."
    )


def _check_raster(
    source: _Raster, labels: Labels, path: Path, scene: Scene, legend: Legend
) -> None:
    if (labels.coarse() > 0).any():
        return
    # Few or none: every pixel is looked at.
    seen: set[Any] = set()
    height, width = scene.shape
    for row in range(0, height, _PROBE):
        window = Window(row, 0, min(_PROBE, height - row), width)
        if (labels.read(window) > 0).any():
            return
        seen |= source.values(window)
    if seen:
        raise _nothing_common(path, legend, [_written(value) for value in sorted(seen)])
    raise _elsewhere(path)


def _say_crs(path: Path, crs: CRS | None, scene: Scene) -> None:
    if not scene.crs:
        return
    if not crs:
        warn(f"{path}: the labels have no CRS: they are taken to lie on the scene's own grid")
    elif crs != scene.crs:
        warn(f"{path}: the labels have another CRS than the scene: they are reprojected")


def _say_left_out(path: Path, names: Iterable[str]) -> None:
    if names := list(names):
        warn(f"{path}: classes of the labels that the legend lacks: {_listed(names)}")


def _box(transform: Affine, shape: Shape) -> Any:
    rows, cols = shape
    corners = [(0, 0), (cols, 0), (cols, rows), (0, rows)]
    return shapely.Polygon([transform @ corner for corner in corners])
