"""The few labels that an adapter is fitted to: polygons or points, each of one class."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.errors import LegendError, SceneError, warn
from rsclip.scene.scene import Scene
from rsclip.study.truth import classes_of, on_the_grid, read_vector
from rsclip.study.truth_classes import LabelClasses, names_nothing
from rsclip.study.truth_grids import UNKNOWN, Values
from rsclip.study.truth_messages import listed_ids, no_labels
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    import geopandas

__all__ = ["FewLabels", "lie_on", "read_labels", "say_outside"]

_SHOWN = 6
_KINDS = {"Point", "MultiPoint", "Polygon", "MultiPolygon"}


@dataclass(frozen=True)
class FewLabels:
    """Labels as a file has them.

    Attributes:
        path: The file.
        frame: Their geometries; the index is their ids in the file.
        values: int32 (P,), legend values; 0 for background classes.
    """

    path: Path
    frame: "geopandas.GeoDataFrame"
    values: Values

    def on(self, scene: Scene) -> NDArray[Any]:
        """Return the geometries in pixels (column, row) of a scene's working grid: (P,).

        Raises:
            SceneError: They cannot be brought to the scene's CRS.
        """
        placed, _ = on_the_grid(self.frame, self.path, scene)
        inverse = ~scene.working_transform

        def to_pixels(xy: NDArray[np.float64]) -> NDArray[np.float64]:
            x, y = xy.T
            cols = inverse.a * x + inverse.b * y + inverse.c
            return np.stack([cols, inverse.d * x + inverse.e * y + inverse.f], axis=1)

        pixels: NDArray[Any] = shapely.transform(np.asarray(placed.geometry), to_pixels)
        return pixels


def read_labels(path: str | Path, legend: Legend, *, keep_others: bool = False) -> FewLabels:
    """Read labels, each with its class; those whose class is blank are left out.

    Args:
        path: A vector file of polygons or points, with a column as `open_labels` takes it.
        legend: Classes.
        keep_others: Labels that say "none of the classes" count without background classes too.

    Raises:
        SceneError: The file cannot be read, has no labels, or all are blank.
        LegendError: A label is of no class of the legend, or two contradict one another.
    """
    path = Path(path)
    if not path.is_file():
        raise no_labels(path)
    frame = read_vector(
        path, "not a vector file of labels",
        "Labels are polygons or points, in a GeoPackage, GeoJSON or the like.",
    )  # fmt: skip
    if not len(frame):
        raise SceneError("the file holds no labels", where=path, remedy="Draw some polygons.")
    if kinds := sorted({*frame.geom_type} - _KINDS):
        raise SceneError(
            f"it holds {', '.join(kinds)}", where=path, remedy="Labels are polygons or points."
        )
    values, others, note = classes_of(frame, path, legend, LabelClasses(legend))
    unknown = sorted({name for name in others if not (names_nothing(name) or name == "other")})
    if unknown:
        names = ", ".join(item.name for item in legend.foreground)
        more = " ..." if len(unknown) > _SHOWN else ""
        raise LegendError(
            f"labels of unknown class: {', '.join(unknown[:_SHOWN])}{more}",
            where=path,
            remedy=f"The classes are {names}: rename the labels, or add to --classes.",
        )
    told = values != UNKNOWN
    if not (legend.background or keep_others) and (values == 0).any():
        warn(
            f"{path}: {int((values == 0).sum())} labels are of no class: they are left out; with "
            "--background they would count"
        )
        told &= values != 0
    frame = frame[told]
    frame = frame.set_geometry(shapely.make_valid(np.asarray(frame.geometry)), crs=frame.crs)
    _refuse_contradictions(path, frame.geometry, values[told], legend)
    if note:
        warn(note)
    return FewLabels(path, frame, values[told])


def lie_on(shapes: NDArray[Any], scene: Scene) -> NDArray[np.bool_]:
    """Say which labels (P,) in pixels of a scene's working grid lie on it, if only in part."""
    height, width = scene.working_shape
    inside: NDArray[np.bool_] = shapely.intersects(shapes, shapely.box(0, 0, width, height))
    return inside


def say_outside(few: FewLabels, outside: NDArray[np.bool_]) -> None:
    """Warn of labels that lie on no scene."""
    if outside.any():
        warn(
            f"{few.path}: {outside.sum()} of {len(outside)} labels lie outside and do not count: "
            f"{listed_ids(few.frame.index[outside])}"
        )


def _refuse_contradictions(
    path: Path, labels: "geopandas.GeoSeries", values: Values, legend: Legend
) -> None:
    """Refuse labels of different classes whose interiors overlap."""
    shapes, ids = np.asarray(labels), labels.index
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    differ = (one < other) & (values[one] != values[other])
    one, other = one[differ], other[differ]
    # Neighbours may share an edge.
    overlap = ~shapely.touches(shapes[one], shapes[other])
    pairs = [
        f"{ids[first]} ({legend.names[int(values[first])]}) and "
        f"{ids[second]} ({legend.names[int(values[second])]})"
        for first, second in zip(one[overlap], other[overlap], strict=True)
    ]
    if pairs:
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        raise LegendError(
            f"labels of different classes overlap: {'; '.join(pairs[:_SHOWN])}{more}",
            where=path,
            remedy="The numbers are the features' ids ($id in QGIS): give each place one class.",
        )
