"""Labelled points on a grid, each with its pixel and its number."""

from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.errors import LegendError, SceneError, warn
from rsclip.study.truth import classes_of, on_the_grid, read_vector
from rsclip.study.truth_classes import LabelClasses, names_nothing
from rsclip.study.truth_grids import Grid, Values, pixels_of
from rsclip.study.truth_messages import say_crs
from rsclip.words.legend import Legend

__all__ = ["read_points"]

_NUMBER = "point"

Index = NDArray[np.int64]


def read_points(path: Path, grid: Grid, legend: Legend) -> tuple[Values, Index, Index, Index]:
    """Read the points of a file, whichever of them are labelled.

    Args:
        path: A vector file of points, with a column of labels as `open_labels` takes it.
        grid: Where their pixels are looked for.
        legend: Classes; "unclassified", "other" and the like are 0.

    Returns:
        Legend values (-1 where the label is blank), rows, columns, and the numbers of the column
        `point` (without one the points are counted from 1), (n,) each.

    Raises:
        SceneError: The file cannot be read, holds no points, or one lies outside the grid.
        LegendError: A label is no class of the legend.
    """
    if not path.is_file():
        raise SceneError("no such file of points", where=path, remedy="Check the path.")
    frame = read_vector(path, "not a vector file of points", "Give points, as in a GeoPackage.")
    frame = frame.explode(index_parts=False, ignore_index=True)
    if kinds := sorted({*frame.geom_type} - {"Point"}) or ([] if len(frame) else ["nothing"]):
        raise SceneError(f"it holds {', '.join(kinds)}", where=path, remedy="Give points.")
    values, others, note = classes_of(frame, path, legend, LabelClasses(legend))
    others = sorted({name for name in others if not (names_nothing(name) or name == "other")})
    if others:
        raise LegendError(
            f"labels that are no class of the map: {', '.join(others[:6])}",
            where=path,
            remedy=f"They are {', '.join(item.name for item in legend.foreground)}.",
        )
    frame, crs = on_the_grid(frame, path, grid)
    rows, cols = pixels_of(shapely.get_coordinates(np.asarray(frame.geometry)), grid)
    outside = (rows < 0) | (rows >= grid.shape[0]) | (cols < 0) | (cols >= grid.shape[1])
    if outside.any():
        raise SceneError(
            f"{int(outside.sum())} of {len(frame)} points lie outside the map",
            where=path,
            remedy="Give the map that the sample was drawn from.",
        )
    say_crs(path, crs, grid)
    if note:
        warn(note)
    numbers = frame[_NUMBER] if _NUMBER in frame.columns else np.arange(1, len(frame) + 1)
    return values, rows, cols, np.asarray(numbers, np.int64)
