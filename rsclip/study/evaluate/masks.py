"""A mask of any tool, read as positions of a legend's classes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import LegendError, SceneError
from rsclip.study.truth_classes import names_nothing
from rsclip.study.truth_grids import UNKNOWN
from rsclip.types import Shape, Window
from rsclip.vectors.label_raster import LabelRaster
from rsclip.words.colours import choose_colours
from rsclip.words.legend import Legend, LegendClass, LegendSpec, load_legend

__all__ = ["Mask", "MaskOutline"]

Values = NDArray[np.int32]
# Pixels that are read at once to find which values there are.
_LOOK = 1 << 22


@dataclass(frozen=True, slots=True)
class MaskOutline:
    """The grid and the classes of a mask that is still to be made."""

    crs: CRS | None
    transform: Affine
    shape: Shape
    legend: Legend


class Mask:
    """A label raster and its classes. A context manager.

    Args:
        path: One band of class values, of rsclip or any other tool.
        classes: The classes of the values 1..N, as `load_legend` takes them; None: as the mask
            says (its tags, category names or attribute table), else a class for each value.
        confidence: A raster of whole percent on the same grid, or None.

    Attributes:
        path: As given.
        crs: Or None.
        transform: From pixels to coordinates.
        shape: (height, width).
        legend: Classes 1..N; their `code` is the mask's own value where that is another.

    Raises:
        SceneError: The raster cannot be opened, or holds no labels.
        LegendError: The classes are wrong, or do not fit the mask's values.
    """

    def __init__(
        self,
        path: str | Path,
        classes: LegendSpec | None = None,
        confidence: str | Path | None = None,
    ) -> None:
        self.path = Path(path)
        self._raster = LabelRaster(path, confidence)
        try:
            self.crs = self._raster.crs
            self.transform = self._raster.transform
            self.shape = self._raster.shape
            self.legend, own = self._classes(classes)
        except BaseException:
            self._raster.close()
            raise
        self._known = np.array(sorted(own), np.int64)
        self._meant = np.array([own[value] for value in sorted(own)], np.int32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raster.close()

    def read(self, window: Window) -> Values:
        """Return legend values of a window, int32 (h, w); `UNKNOWN` where there is no data.

        Raises:
            ReadError: Pixels cannot be read.
        """
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        labels = self._raster.read(place)
        # Masks have few values: each is looked up once.
        few = labels.dtype in (np.uint8, np.uint16)
        every = np.arange(np.iinfo(labels.dtype).max + 1) if few else labels
        at = np.searchsorted(self._known, every).clip(max=len(self._known) - 1)
        found: Values = np.where(self._known[at] == every, self._meant[at], UNKNOWN)
        return found[labels] if few else found

    def confidence(self, window: Window) -> NDArray[np.uint8]:
        """Return the confidence of a window, uint8 (h, w), percent; 255 where there is none.

        Raises:
            ReadError: Pixels cannot be read.
        """
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        percent: NDArray[np.uint8] = self._raster.read_confidence(place)
        return percent

    def _classes(self, classes: LegendSpec | None) -> tuple[Legend, dict[int, int]]:
        """Return the legend, and value of the mask -> legend value."""
        if classes is not None:
            legend = load_legend(classes, without_words=True)
            own = {value: value for value in legend.names}
            self._refuse_others(own)
        elif (legend_of_tags := self._tagged()) is not None:
            legend = legend_of_tags
            own = {value: value for value in legend.names}
        else:
            legend, own = self._named()
        return legend, {value: to for value, to in own.items() if value not in self._raster.nodata}

    def _tagged(self) -> Legend | None:
        """Return the classes that rsclip has written into the mask, with their words."""
        try:
            items = json.loads(self._raster.tags().get("RSCLIP_CLASSES", "null")) or []
            given = self._raster.colours()
            return Legend(
                tuple(
                    LegendClass(
                        str(item["name"]),
                        tuple(item.get("words") or [item["name"]]),
                        value=int(item["value"]),
                        colour=given.get(int(item["value"]), (0, 0, 0)),
                        background=not item["value"],
                    )
                    for item in items
                )
            )
        except (ValueError, TypeError, KeyError, LegendError):
            return None

    def _named(self) -> tuple[Legend, dict[int, int]]:
        names = {value: name.strip() for value, name in self._raster.names().items()}
        # Masks of some tools count their classes from 0.
        zero = 0 in names and not names_nothing(names[0])
        values = sorted({*self._values(), *names} - self._raster.nodata - (set() if zero else {0}))
        if not values:
            raise SceneError(
                "the mask holds no class: 0 and nodata alone",
                where=self.path,
                remedy="Give a mask with class values.",
            )
        labels = [names.get(value) or str(value) for value in values]
        # Two values of one name stay apart.
        folded = [label.casefold() for label in labels]
        labels = [
            f"{label} ({value})" if folded.count(label.casefold()) > 1 else label
            for label, value in zip(labels, values, strict=True)
        ]
        given = self._raster.colours()
        colours = choose_colours(
            [([label], given.get(value)) for label, value in zip(labels, values, strict=True)]
        )
        legend = Legend(
            tuple(
                LegendClass(label, (label,), colour=colour, value=index, code=value)
                for index, (label, colour, value) in enumerate(
                    zip(labels, colours, values, strict=True), 1
                )
            )
        )
        own = {value: index for index, value in enumerate(values, 1)}
        return legend, own if zero else {0: 0, **own}

    def _refuse_others(self, own: dict[int, int]) -> None:
        others = sorted(self._values() - {*own} - self._raster.nodata)
        if others:
            listed = ", ".join(map(str, others[:6])) + (" ..." if len(others) > 6 else "")
            raise LegendError(
                f"the mask has values that are none of the {len(own) - 1} classes: {listed}",
                where=self.path,
                remedy="Name a class for every value, in order from 1.",
            )

    def _values(self) -> set[Any]:
        height, width = self.shape
        rows = max(_LOOK // width, 1)
        seen: set[Any] = set()
        for top in range(0, height, rows):
            window = RasterioWindow(0, top, width, min(rows, height - top))
            seen |= {*np.unique(self._raster.read(window)).tolist()}
        return seen
