"""The truth that labels are compared with: a raster or polygons, read on a scene's own grid."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import LegendError, ReadError, RsclipWarning, SceneError
from rsclip.legend import Legend
from rsclip.scene import Scene
from rsclip.types import Window
from rsclip.vectors.labels import LabelRaster

__all__ = ["Labels", "open_labels"]

_UNKNOWN = -1
_COLUMNS = ("class_name", "class", "name", "label", "class_id", "value")
_PROBE = 256

Values = NDArray[np.int32]


class _Source(Protocol):
    def read(self, window: Window) -> Values: ...

    def close(self) -> None: ...


class Labels:
    """The truth on a scene's grid; a context manager.

    Args:
        source: Gives legend values.
        classes: Legend values that the truth's own legend has.
    """

    def __init__(self, source: _Source, classes: tuple[int, ...]) -> None:
        self._source = source
        self.classes = classes

    def read(self, window: Window) -> Values:
        """Return int32 (h, w): legend values 1..N, 0 for other classes, -1 where it is unknown.

        Raises:
            ReadError: The pixels cannot be read.
        """
        return self._source.read(window)

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_labels(path: str | Path, scene: Scene, legend: Legend) -> Labels:
    """Open the truth of a scene.

    Classes are matched by name or word, whatever the case; where the truth has no names, its
    values are the class set's own codes, or else the legend's values. Another CRS or grid is read
    nearest-neighbour; another CRS is said.

    Args:
        path: A raster of class values, or a vector file of polygons with a column `class_name`,
            `class`, `name`, `label`, `class_id` or `value`.
        scene: An open scene.
        legend: Classes.

    Raises:
        SceneError: The file cannot be read, or does not overlap the scene.
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
        labels = _open_vector(path, scene, legend)
    else:
        labels = _open_raster(path, scene, legend)
    try:
        _check_overlap(labels, path, scene)
    except BaseException:
        labels.close()
        raise
    return labels


class _Raster:
    def __init__(self, path: Path, scene: Scene, lookup: NDArray[np.int32]) -> None:
        self._path = path
        self._lookup = lookup
        self._dataset = rasterio.open(path)
        options: dict[str, Any] = {}
        if self._dataset.crs and scene.crs:
            # Outside the labels and where they have no data, alpha is 0.
            options = {"crs": scene.crs, "add_alpha": True}
            self._grid = WarpedVRT(
                self._dataset,
                transform=scene.transform,
                height=scene.shape[0],
                width=scene.shape[1],
                resampling=Resampling.nearest,
                **options,
            )
        elif self._dataset.shape == scene.shape:
            self._grid = self._dataset
        else:
            raise SceneError(
                f"labels of {self._dataset.shape} pixels without a CRS do not fit the scene's "
                f"{scene.shape}",
                where=path,
                remedy="Give them the scene's CRS, or its size.",
            )

    def read(self, window: Window) -> Values:
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            values = self._grid.read(1, window=place)
            valid = self._grid.dataset_mask(window=place) > 0
        except RasterioError as error:
            raise ReadError(
                f"labels cannot be read: {error}", where=f"{self._path}, {window}"
            ) from error
        inside = (values >= 0) & (values < len(self._lookup))
        labels: Values = np.where(
            inside, self._lookup[np.where(inside, values, 0).astype(np.int64)], 0
        )
        labels[~valid] = _UNKNOWN
        return labels

    def close(self) -> None:
        self._grid.close()
        self._dataset.close()


class _Vector:
    def __init__(self, shapes: list[tuple[Any, int]], transform: Affine) -> None:
        self._shapes = shapes
        self._transform = transform

    def read(self, window: Window) -> Values:
        shift = self._transform @ Affine.translation(window.col, window.row)
        labels: Values = rasterize(
            self._shapes, window.shape, fill=_UNKNOWN, transform=shift, dtype="int32"
        )
        return labels

    def close(self) -> None:
        pass


def _open_raster(path: Path, scene: Scene, legend: Legend) -> Labels:
    with LabelRaster(path) as raster:
        names = {value: name for value, name in raster.names().items() if value != 0}
        crs = raster.crs
    # Label rasters of a data set hold its own codes; others without names, the legend's values.
    own = {item.code: item.value for item in legend.classes if item.code is not None}
    own = own or {item.value: item.value for item in legend.foreground}
    known = _by_word(legend)
    if names:
        own = {value: known[name.casefold()] for value, name in names.items()
               if name.casefold() in known}  # fmt: skip
        if not own:
            raise _nothing_common(path, legend, list(names.values()))
    lookup = np.zeros(max(own) + 1, np.int32)
    lookup[list(own)] = list(own.values())
    _say_other_crs(path, crs, scene)
    return Labels(_Raster(path, scene, lookup), tuple(sorted({*own.values()} - {0})))


def _open_vector(path: Path, scene: Scene, legend: Legend) -> Labels:
    import geopandas
    from pyogrio.errors import DataSourceError

    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, OSError, ValueError) as error:
        raise SceneError(
            f"neither a raster nor a vector file of labels: {error}", where=path
        ) from error
    column = next((name for name in _COLUMNS if name in frame.columns), None)
    if column is None or "geometry" not in frame.columns:
        raise LegendError(
            "no column tells the class", where=path, remedy=f"It is one of {', '.join(_COLUMNS)}."
        )
    if frame.crs is not None and scene.crs:
        _say_other_crs(path, CRS.from_user_input(frame.crs.to_wkt()), scene)
        frame = frame.to_crs(scene.crs.to_wkt())
    known = _by_word(legend)
    values = [_value(entry, known, legend) for entry in frame[column]]
    classes = tuple(sorted({value for value in values if value > 0}))
    if not classes:
        raise _nothing_common(path, legend, [str(entry) for entry in frame[column].unique()])
    shapes = [
        (shape, value)
        for shape, value in zip(frame.geometry, values, strict=True)
        if shape is not None and not shape.is_empty
    ]
    return Labels(_Vector(shapes, scene.transform), classes)


def _by_word(legend: Legend) -> Mapping[str, int]:
    known: dict[str, int] = {}
    for item in legend.foreground:
        for word in (item.name, *item.words):
            known.setdefault(word.casefold(), item.value)
    return known


def _value(entry: Any, known: Mapping[str, int], legend: Legend) -> int:
    """Return the legend value of a polygon's class: 0 for a class that the legend lacks."""
    if isinstance(entry, str):
        return known.get(entry.casefold(), 0)
    value = int(entry) if entry == entry and entry is not None else 0
    return value if value in legend.names else 0


def _nothing_common(path: Path, legend: Legend, names: list[str]) -> LegendError:
    shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    ours = ", ".join(item.name for item in legend.foreground)
    return LegendError(
        f"no class in common: the labels have {shown}, the legend {ours}",
        where=path,
        remedy="Name classes as the labels do, with your words as synonyms.",
    )


def _say_other_crs(path: Path, crs: CRS | None, scene: Scene) -> None:
    if crs and scene.crs and crs != scene.crs:
        warnings.warn(
            f"{path}: the labels have another CRS than the scene: they are reprojected",
            RsclipWarning,
            stacklevel=4,
        )


def _check_overlap(labels: Labels, path: Path, scene: Scene) -> None:
    height, width = scene.shape
    for row in range(0, height, _PROBE):
        rows = min(_PROBE, height - row)
        if (labels.read(Window(row, 0, rows, width)) != _UNKNOWN).any():
            return
    raise SceneError(
        "the labels do not overlap the scene", where=path, remedy="Check their CRS and place."
    )
