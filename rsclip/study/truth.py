"""The truth that labels are compared with: a raster, polygons or points, on a scene's grid."""

import shlex
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import shapely
from rasterio.crs import CRS

from rsclip.errors import LegendError, SceneError, warn
from rsclip.scene.gdal import GDAL_ERRORS, guarded, reason
from rsclip.scene.reading import open_raster
from rsclip.scene.source import in_shell
from rsclip.study.truth_classes import LabelClasses, names_nothing, names_unknown
from rsclip.study.truth_grids import (
    COARSE,
    UNKNOWN,
    Grid,
    PointTruth,
    PolygonTruth,
    RasterTruth,
    Values,
    transformable,
)
from rsclip.types import Shape, Window
from rsclip.vectors.label_raster import LabelRaster
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    import geopandas

__all__ = ["Labels", "classes_of", "on_the_grid", "open_labels", "read_vector"]

_COLUMNS = ("class_name", "class", "name", "label", "class_id", "value", "dn")
_PROBE = 256
_SHOWN = 6


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
        sparse: Single pixels are known, as points say.
    """

    def __init__(
        self, source: _Source, classes: tuple[int, ...], shape: Shape, *, sparse: bool = False
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


def open_labels(
    path: str | Path,
    scene: Grid,
    legend: Legend,
    *,
    mapping: Mapping[str, str | None] | None = None,
    ignore: Collection[str] = (),
    points: bool = False,
) -> Labels:
    """Open the truth of a scene.

    Classes are matched by name or word, whatever the case, underscores or spaces at the ends;
    where there are no names, values are the classes' own codes, or else the legend's values, and it
    is said which value is taken for what. Classes that the legend lacks are named.
    Another CRS or grid is read nearest-neighbour; another CRS is said. A raster of the scene's
    size whose CRS has no place on Earth (a local one) is read pixel by pixel, and it is said.

    Args:
        path: A raster of class values, or a vector file of polygons with a column `class_name`,
            `class`, `name`, `label`, `class_id`, `value` or `DN`.
        scene: An open scene, or another grid.
        legend: Classes.
        mapping: Value or name of a label -> class, as `LabelClasses` takes it.
        ignore: Values and names of labels that do not count.
        points: Take points too.

    Raises:
        SceneError: The file cannot be read, holds no labels, or does not overlap the scene.
        LegendError: It has no class in common with the legend, or one that a mapping lacks.
    """
    classes = LabelClasses(legend, mapping, ignore)
    path = Path(path)
    if not path.is_file():
        raise SceneError("no such file of labels", where=path, remedy="Check the path.")
    try:
        open_raster(str(path)).close()
    except GDAL_ERRORS as error:
        return _open_vector(path, scene, legend, classes, reason(error), points=points)
    with guarded(path, SceneError, what="labels cannot be opened"):
        return _open_raster(path, scene, legend, classes)


def _open_raster(path: Path, scene: Grid, legend: Legend, classes: LabelClasses) -> Labels:
    with LabelRaster(path) as raster:
        names = raster.names()
        crs = raster.crs
    said = classes.said_values(names)
    # As with polygons: of such a place nothing is known. Names of nothing are of an empty entry.
    unknown = {
        value: UNKNOWN
        for value, name in names.items()
        if name.strip() and names_unknown(name) and classes.named(name) is None
    }
    names = {value: name for value, name in names.items() if value not in unknown}
    if 0 in names and classes.named(names[0]) is None and names_nothing(names[0]):
        del names[0]
    if classes.strict:
        own = said
    elif names:
        found = {value: classes.named(name) for value, name in names.items()}
        own = {value: item for value, item in found.items() if item is not None}
        if not own:
            raise _nothing_common(path, legend, names.values())
        own |= {**unknown, **said}
    else:
        own = {**classes.by_value, **unknown, **said}
    source = RasterTruth(path, scene, own)
    labels = Labels(source, tuple(sorted({*own.values()} - {0, UNKNOWN})), scene.shape)
    try:
        if classes.strict:
            _check_mapping(source, own, path, scene)
        _check_raster(source, labels, own, path, scene, legend)
    except BaseException:
        labels.close()
        raise
    _say_crs(path, crs, scene)
    if classes.strict:
        return labels
    if names:
        _say_left_out(path, [name for value, name in names.items() if value not in own])
    else:
        warn(f"{path}: the labels have no class names: {classes.taken()}")
        others = source.all_values(scene.shape) - {0, *own}
        _say_left_out(path, [_written(value) for value in sorted(others)])
    return labels


def _open_vector(
    path: Path,
    scene: Grid,
    legend: Legend,
    classes: LabelClasses,
    not_raster: str,
    *,
    points: bool,
) -> Labels:
    frame = read_vector(path, not_raster)
    if points and {*frame.geom_type} <= {"Point", "MultiPoint"}:
        frame = frame.explode(index_parts=False)
    else:
        points = False
        kinds = sorted({*frame.geom_type} - {"Polygon", "MultiPolygon"})
        if kinds:
            held = f"it holds {', '.join(kinds)}"
            raise SceneError(held, where=path, remedy="Labels are polygons.")
    values, left_out = classes_of(frame, path, legend, classes)
    frame, crs = on_the_grid(frame, path, scene)
    # A polygon without a class says nothing of its place.
    told = values != UNKNOWN
    place = _place_points if points else _place_polygons
    source = place(path, np.asarray(frame.geometry)[told], values[told], scene)
    _say_crs(path, crs, scene)
    _say_left_out(path, left_out)
    found = tuple(sorted({*values.tolist()} - {0, UNKNOWN}))
    return Labels(source, found, scene.shape, sparse=points)


def _place_polygons(path: Path, shapes: Any, values: Values, scene: Grid) -> _Source:
    source = PolygonTruth(shapes, values, scene)
    if not source.overlaps():
        raise _elsewhere(path)
    return source


def _place_points(path: Path, shapes: Any, values: Values, scene: Grid) -> _Source:
    source = PointTruth(shapely.get_coordinates(shapes), values, scene)
    if source.outside == len(values):
        raise _elsewhere(path)
    if source.outside:
        warn(f"{path}: {source.outside} of {len(values)} points lie outside the map")
    if source.shared:
        warn(f"{path}: {source.shared} points lie on the pixel of another: the last one counts")
    return source


def read_vector(path: Path, not_raster: str) -> "geopandas.GeoDataFrame":
    """Read the features of a file that have a geometry.

    Args:
        path: The file.
        not_raster: Why it is no raster, for the message.

    Raises:
        SceneError: It cannot be read, or holds no geometries.
    """
    import geopandas

    try:
        with warnings.catch_warnings():
            # What GDAL warns of damaged features is of no use without their number.
            warnings.simplefilter("ignore")
            frame = geopandas.read_file(path)
    except Exception as error:
        # pyogrio, shapely and numpy each have their own errors for damaged files.
        raise SceneError(
            f"neither a raster nor a vector file of labels ({not_raster}; {reason(error)})",
            where=path,
            remedy="Labels are a raster of class values, or polygons.",
        ) from error
    if "geometry" not in frame.columns:
        raise SceneError("a table without geometries", where=path, remedy="Labels are polygons.")
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    return frame


def on_the_grid(
    frame: "geopandas.GeoDataFrame", path: Path, scene: Grid
) -> tuple["geopandas.GeoDataFrame", CRS | None]:
    """Return the polygons in the scene's CRS, and the CRS that they came in."""
    if frame.crs is None or not scene.crs:
        return frame, None
    with guarded(path, SceneError, what="the labels' CRS cannot be read"):
        crs = CRS.from_user_input(frame.crs.to_wkt())
    if not transformable(crs, scene.crs):
        raise SceneError(
            "the polygons' CRS and the scene's have no place on Earth in common",
            where=path,
            remedy="If their coordinates are the scene's, say so: `ogr2ogr -a_srs "
            f"{shlex.quote(scene.crs.to_string())} {in_shell(path.stem + '_placed.gpkg')} "
            f"{in_shell(path)}`.",
        )
    if crs == scene.crs:
        return frame, crs
    with guarded(path, SceneError, what="the polygons cannot be brought to the scene's CRS"):
        return frame.to_crs(scene.crs.to_wkt()), crs


def classes_of(
    frame: "geopandas.GeoDataFrame", path: Path, legend: Legend, classes: LabelClasses
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
    for column in columns:
        entries = list(frame[column])
        values, numbers, others = np.full(len(entries), UNKNOWN, np.int32), False, []
        ignored = 0
        for index, entry in enumerate(entries):
            if entry is None or entry != entry:
                continue
            said = classes.said(_written(entry))
            if said is not None:
                values[index] = said
                ignored += said == UNKNOWN
                continue
            if classes.strict:
                if not names_unknown(_written(entry)):
                    others.append(_written(entry))
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
        if ignored and ignored == len(entries):
            raise _all_ignored(path)
        if (values > 0).any():
            if classes.strict and others:
                raise _outside_mapping(path, others)
            if numbers:
                warn(f"{path}: column {column}: {classes.taken()}")
            return values, others
    filled = [_written(entry) for name in columns for entry in frame[name].dropna()]
    if all(map(names_unknown, filled)):
        raise SceneError(
            f"all {len(frame)} labels are blank", where=path, remedy="Fill in their classes first."
        )
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


def _outside_mapping(path: Path, labels: Iterable[str]) -> LegendError:
    return LegendError(
        f"labels that the mapping lacks: {_listed(labels)}",
        where=path,
        remedy="Add them to the mapping: a class, `other`, or `ignore`.",
    )


def _all_ignored(path: Path) -> LegendError:
    return LegendError("all labels are ignored", where=path, remedy="Check --ignore and --mapping.")


def _check_mapping(source: RasterTruth, own: Mapping[int, int], path: Path, scene: Grid) -> None:
    """Refuse values that a mapping lacks: every pixel is looked at."""
    if not own:
        raise LegendError(
            "no label of the mapping is in the file", where=path, remedy="Check --mapping."
        )
    seen: set[Any] = set()
    height, width = scene.shape
    for row in range(0, height, _PROBE):
        seen |= source.values(Window(row, 0, min(_PROBE, height - row), width))
    if others := seen - {*own}:
        raise _outside_mapping(path, [_written(value) for value in sorted(others)])


def _elsewhere(path: Path) -> SceneError:
    return SceneError(
        "the labels do not overlap the scene", where=path, remedy="Check their CRS and place."
    )


def _check_raster(
    source: RasterTruth,
    labels: Labels,
    own: Mapping[int, int],
    path: Path,
    scene: Grid,
    legend: Legend,
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
    if seen and all(own.get(value) == UNKNOWN for value in seen):
        raise _all_ignored(path)
    if seen:
        raise _nothing_common(path, legend, [_written(value) for value in sorted(seen)])
    raise _elsewhere(path)


def _say_crs(path: Path, crs: CRS | None, scene: Grid) -> None:
    if not scene.crs:
        return
    if not crs:
        warn(f"{path}: the labels have no CRS: they are taken to lie on the scene's own grid")
    elif not transformable(crs, scene.crs):
        warn(
            f"{path}: the labels' CRS and the scene's have no place on Earth in common: the labels "
            "are compared with the scene pixel by pixel"
        )
    elif crs != scene.crs:
        warn(f"{path}: the labels have another CRS than the scene: they are reprojected")


def _say_left_out(path: Path, names: Iterable[str]) -> None:
    if names := list(names):
        warn(f"{path}: classes of the labels that the legend lacks: {_listed(names)}")
