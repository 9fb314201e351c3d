"""The truth that labels are compared with: a raster, polygons or points, on a scene's grid."""

import shlex
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio.crs import CRS

from rsclip.errors import LegendError, SceneError, warn
from rsclip.scene.gdal import GDAL_ERRORS, guarded, reason
from rsclip.scene.reading import open_raster
from rsclip.scene.source import in_shell
from rsclip.study.truth_classes import LabelClasses, names_unknown
from rsclip.study.truth_grids import (
    UNKNOWN,
    Grid,
    Labels,
    LabelSource,
    PointTruth,
    PolygonTruth,
    Values,
    transformable,
)
from rsclip.study.truth_messages import (
    all_ignored,
    elsewhere,
    listed_ids,
    no_labels,
    nothing_common,
    outside_mapping,
    say_crs,
    say_left_out,
    written,
)
from rsclip.study.truth_rasters import LabelFile
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    import geopandas

__all__ = ["Labels", "classes_of", "on_the_grid", "open_labels", "read_vector"]

_COLUMNS = ("class_name", "class", "name", "label", "class_id", "value", "dn")


def open_labels(
    path: str | Path,
    scene: Grid,
    legend: Legend,
    *,
    mapping: Mapping[str, str | None] | None = None,
    ignore: Collection[str] = (),
    points: bool = False,
    part: bool = False,
    other: int = 0,
) -> Labels:
    """Open the truth of a scene.

    Classes are matched by name or word, whatever the case, underscores or spaces at the ends;
    where there are no names, values are the classes' own codes, or else the legend's values, and it
    is said which value is taken for what. Classes that the legend lacks are named.
    A raster of three bands holds colours: those of the mapping, else the classes' own.
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
        part: The file is one of many: it may hold no class of the legend.
        other: Legend value of raster values that are no class: 0, or `UNKNOWN`.

    Raises:
        SceneError: The file cannot be read, holds no labels, or does not overlap the scene.
        LegendError: It has no class in common with the legend, or one that a mapping lacks.
    """
    classes, path = LabelClasses(legend, mapping, ignore), Path(path)
    labels = _open(path, scene, legend, classes, points=points, part=part, other=other)
    if classes.unmet and not part:
        names = ", ".join(sorted(classes.unmet))
        warn(f"{path}: --ignore names labels that are not there: {names}")
    return labels


def _open(
    path: Path,
    scene: Grid,
    legend: Legend,
    classes: LabelClasses,
    *,
    points: bool,
    part: bool,
    other: int,
) -> Labels:
    if not path.is_file():
        raise no_labels(path)
    try:
        with open_raster(str(path)) as dataset:
            coloured, crs, kind = dataset.count >= 3, dataset.crs, dataset.dtypes[0]
    except GDAL_ERRORS as error:
        return _open_vector(path, scene, legend, classes, reason(error), points=points, part=part)
    if coloured and kind != "uint8":
        raise SceneError(
            f"three bands or more are taken for colours of 8 bits, and these are {kind}",
            where=path, remedy="Give one band of class values, or colours of 8 bits.",
        )  # fmt: skip
    with guarded(path, SceneError, what="labels cannot be opened"):
        raster = LabelFile(path, scene, legend, classes, crs, part, other, points)
        return raster.open_coloured() if coloured else raster.open_values()


def _open_vector(
    path: Path,
    scene: Grid,
    legend: Legend,
    classes: LabelClasses,
    not_raster: str,
    *,
    points: bool,
    part: bool,
) -> Labels:
    mapped, wanted = points, "polygons or points" if points else "polygons"
    frame = read_vector(
        path, "neither a raster nor a vector file of labels",
        f"Labels are a raster of class values, or {wanted}.", not_raster,
    )  # fmt: skip
    if not len(frame):
        if not part:
            raise SceneError("the file holds no labels", where=path, remedy=f"Labels are {wanted}.")
        return Labels(PolygonTruth(np.empty(0, object), np.empty(0, np.int32), scene), (),
                      scene.shape)  # fmt: skip
    if points and {*frame.geom_type} <= {"Point", "MultiPoint"}:
        frame = frame.explode(index_parts=False)
    else:
        points = False
        kinds = sorted({*frame.geom_type} - {"Polygon", "MultiPolygon"})
        if kinds:
            held = f"it holds {', '.join(kinds)}"
            raise SceneError(held, where=path, remedy=f"Labels are {wanted}.")
    values, left_out, note = classes_of(frame, path, legend, classes, mapped=mapped)
    frame, crs = on_the_grid(frame, path, scene)
    # A polygon without a class says nothing of its place.
    told = values != UNKNOWN
    place = _place_points if points else _place_polygons
    source = place(path, np.asarray(frame.geometry)[told], values[told], scene)
    say_crs(path, crs, scene)
    if note:
        warn(note)
    say_left_out(path, left_out)
    found = tuple(sorted({*values.tolist()} - {0, UNKNOWN}))
    return Labels(source, found, scene.shape, sparse=points)


def _place_polygons(path: Path, shapes: Any, values: Values, scene: Grid) -> LabelSource:
    source = PolygonTruth(shapes, values, scene)
    if not source.overlaps():
        raise elsewhere(path)
    return source


def _place_points(path: Path, shapes: Any, values: Values, scene: Grid) -> LabelSource:
    source = PointTruth(shapely.get_coordinates(shapes), values, scene)
    if source.outside == len(values):
        raise elsewhere(path)
    if source.outside:
        warn(f"{path}: {source.outside} of {len(values)} points lie outside the map")
    if source.shared:
        warn(f"{path}: {source.shared} points lie on the pixel of another: the last one counts")
    return source


def read_vector(
    path: Path, wrong: str, remedy: str, not_raster: str = ""
) -> "geopandas.GeoDataFrame":
    """Read the features of a file that have a geometry; the index is their ids (QGIS's $id).

    Of a file with several layers that hold geometries the first is read, and it is said; so is
    which features have no geometry.

    Args:
        path: The file.
        wrong: What is said where it is no vector file.
        remedy: What is wanted instead.
        not_raster: Why it is no raster.

    Raises:
        SceneError: It cannot be read, or holds no geometries.
    """
    import geopandas
    import pyogrio

    try:
        with warnings.catch_warnings():
            # What GDAL warns of damaged features is of no use without their number.
            warnings.simplefilter("ignore")
            layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
            frame = geopandas.read_file(
                path, layer=layers[0] if layers else None, fid_as_index=True
            )
    except Exception as error:
        # pyogrio, shapely and numpy each have their own errors for damaged files.
        # That it is none of GDAL's formats is what the message says anyway.
        told = [text for text in (not_raster, reason(error)) if text and "not recog" not in text]
        why = f" ({'; '.join(told)})" if told else ""
        raise SceneError(wrong + why, where=path, remedy=remedy) from error
    if "geometry" not in frame.columns:
        raise SceneError("a table without geometries", where=path, remedy=remedy)
    if len(layers) > 1:
        others = ", ".join(layers[1:])
        own = " ".join(in_shell(each) for each in (f"{path.stem}_layer.gpkg", path))
        warn(
            f"{path}: labels are read from its first layer, {layers[0]}, and not from {others}; "
            f"for another, write it to a file of its own: `ogr2ogr {own} {shlex.quote(layers[1])}`"
        )
    bare = frame.geometry.isna() | frame.geometry.is_empty
    if bare.any():
        warn(
            f"{path}: {int(bare.sum())} of {len(frame)} features have no geometry and do not "
            f"count: {listed_ids(frame.index[bare])}"
        )
    return frame[~bare]


def on_the_grid(
    frame: "geopandas.GeoDataFrame", path: Path, scene: Grid
) -> tuple["geopandas.GeoDataFrame", CRS | None]:
    """Return the polygons in the scene's CRS, and the CRS that they came in."""
    if frame.crs is None:
        return frame, None
    with guarded(path, SceneError, what="the labels' CRS cannot be read"):
        crs = CRS.from_user_input(frame.crs.to_wkt())
    if not scene.crs:
        return frame, crs
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
    frame: "geopandas.GeoDataFrame",
    path: Path,
    legend: Legend,
    classes: LabelClasses,
    *,
    mapped: bool = False,
) -> tuple[Values, list[str], str]:
    """Return what features say of their class.

    The first column counts in which a class of the legend stands.

    Args:
        frame: Features.
        path: Their file.
        legend: Classes.
        classes: What labels mean.
        mapped: A mapping may be given.

    Returns:
        Each feature's legend value, the names of classes that the legend lacks, and a note to
        warn of which number was taken for which class, or "".

    Raises:
        SceneError: All labels are blank.
        LegendError: They have no class in common with the legend, or one that a mapping lacks.
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
            said = classes.said(written(entry))
            if said is not None:
                values[index] = said
                ignored += said == UNKNOWN
                continue
            if classes.strict:
                if not names_unknown(written(entry)):
                    others.append(written(entry))
                continue
            found = classes.named(entry) if isinstance(entry, str) else None
            if found is None:
                found = classes.numbered(entry)
                numbers = numbers or found is not None
            if found is None:
                if names_unknown(written(entry)):
                    continue
                others.append(written(entry))
            values[index] = found or 0
        if ignored and ignored == len(entries):
            raise all_ignored(path)
        if (values > 0).any():
            if classes.strict and others:
                raise outside_mapping(path, others)
            taken = classes.taken() if numbers else ""
            return values, others, f"{path}: column {column}: {taken}" if taken else ""
    filled = [written(entry) for name in columns for entry in frame[name].dropna()]
    if all(map(names_unknown, filled)):
        raise SceneError(
            f"all {len(frame)} labels are blank", where=path, remedy="Fill in their classes first."
        )
    raise nothing_common(path, legend, map(written, frame[columns[0]].dropna()), mapped=mapped)
