"""Finished components to polygons with their measures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from rsclip.geo.measure import Measure, following
from rsclip.vectors.stream import Finished

__all__ = ["Features", "Finisher", "Outlines"]

Float = NDArray[np.float64]
Index = NDArray[np.int64]

# Sums of the same ground in another order differ in the last digits.
_EQUAL = 1 - 1e-9
# Square pixels of the outer ring: what is smaller has no outline worth another.
_LEAST_REDRAWN = 4.0


@dataclass(frozen=True, slots=True)
class Features:
    """Polygons ready to be written.

    Attributes:
        geometry: object (K,) of shapely polygons, in the scene's CRS; outer rings run
            counter-clockwise.
        class_id: int64 (K,).
        area: float64 (K,) square metres of ground; square pixels without a CRS.
        perimeter: float64 (K,) metres, holes included; pixels without a CRS.
        mean_confidence: float64 (K,) 0 to 1, or None.
    """

    geometry: NDArray[np.object_]
    class_id: Index
    area: Float
    perimeter: Float
    mean_confidence: Float | None

    def __len__(self) -> int:
        return len(self.class_id)


@dataclass(frozen=True, slots=True)
class Outlines:
    """Rings in pixels, grouped by owner, outer rings first.

    Attributes:
        points: float64 (N, 2) x and y; first points are not repeated.
        offsets: int64 (R + 1,).
        owner: int64 (R,), ascending.
        hole: bool (R,).
    """

    points: Float
    offsets: Index
    owner: Index
    hole: NDArray[np.bool_]

    def take(self, rings: NDArray[np.bool_]) -> "Outlines":
        """Return the chosen rings, (R,) bool."""
        lengths = np.diff(self.offsets)
        offsets = np.concatenate(([0], np.cumsum(lengths[rings])))
        points = self.points[np.repeat(rings, lengths)]
        return Outlines(points, offsets, self.owner[rings], self.hole[rings])

    def polygons(self) -> NDArray[np.object_]:
        """Return one polygon an owner, in order, with the rings as they run."""
        lengths = np.diff(self.offsets)
        # Rings are closed by their first point.
        closed = np.concatenate(([0], np.cumsum(lengths + 1)))
        index = np.arange(closed[-1]) - np.repeat(np.arange(len(lengths)), lengths + 1)
        index[closed[1:] - 1] = self.offsets[:-1]
        outer = np.append(np.flatnonzero(~self.hole), len(self.owner))
        made: NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, self.points[index], (closed, outer)
        )
        return made


class Finisher:
    """Turn finished components into features.

    Args:
        measure: Of the raster's grid.
        transform: From pixels to coordinates.
        units: Units of outlines in a pixel.
        exact: Outlines run along pixel sides, so that areas are those of the pixels.
        min_area: Polygons and holes smaller than this (in the measure's square unit) are dropped
            and filled.
        redraw: Gives polygons of these labels another outline: label -> function of outlines with
            one owner and the measure. Those of less than four pixels keep theirs.
    """

    def __init__(
        self,
        measure: Measure,
        transform: Affine,
        *,
        units: int = 1,
        exact: bool = True,
        min_area: float | None = None,
        redraw: Mapping[int, Callable[[Outlines, Measure], Outlines]] | None = None,
    ) -> None:
        self._measure = measure
        self._transform = transform
        self._units = units
        self._exact = exact
        self._min_area = min_area
        self._redraw = redraw or {}

    def finish(self, found: Finished) -> Features:
        """Return the features of some components."""
        rings = found.rings
        outlines = Outlines(
            rings.points / float(self._units), rings.offsets, rings.owner, rings.area < 0
        )
        score = None if found.score is None else found.score / found.pixels / 100
        values = found.values.astype(np.int64)
        if not len(values):
            nothing = np.empty(0)
            return Features(np.empty(0, np.object_), values, nothing, nothing, score)
        if self._exact:
            area = found.pixels.astype(np.float64) if found.m2 is None else found.m2
        else:
            area = self._areas(outlines, len(values))
        if self._min_area:
            outlines, area, kept = self._without_small(outlines, area, self._min_area)
            values, score = values[kept], None if score is None else score[kept]
        if self._redraw:
            outlines, area = self._redrawn(outlines, values, area)
        lengths = np.zeros(len(values))
        if len(values):
            np.add.at(
                lengths, outlines.owner, self._measure.lengths(outlines.points, outlines.offsets)
            )
        return Features(self._placed(outlines), values, area, lengths, score)

    def _areas(self, outlines: Outlines, count: int) -> Float:
        rings = self._measure.areas(outlines.points, outlines.offsets)
        # Where the edge of the Earth cuts a sliver, a hole may seem larger than what it lies in.
        return np.maximum(np.bincount(outlines.owner, rings, minlength=count), 0.0)

    def _without_small(
        self, outlines: Outlines, area: Float, least: float
    ) -> tuple[Outlines, Float, NDArray[np.bool_]]:
        rings = np.abs(self._measure.areas(outlines.points, outlines.offsets))
        filled = outlines.hole & (rings < least * _EQUAL)
        gained = np.bincount(outlines.owner[filled], rings[filled], minlength=len(area))
        # What lies in a filled hole is smaller still, its own holes included: it goes.
        kept = area + gained >= least * _EQUAL
        outlines = outlines.take(~filled & kept[outlines.owner])
        number = np.cumsum(kept) - 1
        outlines = replace(outlines, owner=number[outlines.owner])
        return outlines, (area + gained)[kept], kept

    def _redrawn(
        self, outlines: Outlines, values: NDArray[Any], area: Float
    ) -> tuple[Outlines, Float]:
        outer = outlines.take(~outlines.hole)
        large = _pixels(outer) >= _LEAST_REDRAWN
        chosen = np.flatnonzero(np.isin(values, list(self._redraw)) & large)
        if not len(chosen):
            return outlines, area
        first = np.append(np.flatnonzero(~outlines.hole), len(outlines.owner))
        parts = []
        for index in chosen.tolist():
            one = _cut(outlines, slice(first[index], first[index + 1]))
            one = self._redraw[int(values[index])](one, self._measure)
            parts.append(replace(one, owner=np.full(len(one.owner), index)))
        redrawn = _joined(parts)
        area = area.copy()
        area[chosen] = self._areas(redrawn, len(values))[chosen]
        rest = outlines.take(~np.isin(outlines.owner, chosen))
        return _in_order(_joined([rest, redrawn])), area

    def _placed(self, outlines: Outlines) -> NDArray[np.object_]:
        """Return the polygons in the scene's CRS."""
        if not len(outlines.owner):
            return np.empty(0, np.object_)
        x, y = outlines.points.T
        moved = np.column_stack(self._transform @ (x, y))
        if self._transform.determinant < 0:
            # Clockwise as seen: backwards, ring by ring.
            lengths = np.diff(outlines.offsets)
            ends = np.repeat(outlines.offsets[:-1] + outlines.offsets[1:] - 1, lengths)
            moved = moved[ends - np.arange(len(moved))]
        return replace(outlines, points=moved).polygons()


def _cut(outlines: Outlines, rings: slice) -> Outlines:
    begin, end = outlines.offsets[rings.start], outlines.offsets[rings.stop]
    return Outlines(
        outlines.points[begin:end],
        outlines.offsets[rings.start : rings.stop + 1] - begin,
        np.zeros(rings.stop - rings.start, np.int64),
        outlines.hole[rings],
    )


def _pixels(outlines: Outlines) -> Float:
    """Return the area in each ring, in square pixels."""
    ends = outlines.points[following(outlines.offsets)]
    # From the ring's first point, so that the sums stay small.
    origin = np.repeat(outlines.points[outlines.offsets[:-1]], np.diff(outlines.offsets), axis=0)
    (x, y), (ahead_x, ahead_y) = (outlines.points - origin).T, (ends - origin).T
    return np.asarray(np.abs(np.add.reduceat(x * ahead_y - ahead_x * y, outlines.offsets[:-1])) / 2)


def _in_order(outlines: Outlines) -> Outlines:
    """Return the outlines with their owners ascending, the rings of each as they come."""
    order = np.argsort(outlines.owner, kind="stable")
    lengths = np.diff(outlines.offsets)[order]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    index = np.arange(offsets[-1]) + np.repeat(outlines.offsets[:-1][order] - offsets[:-1], lengths)
    return Outlines(outlines.points[index], offsets, outlines.owner[order], outlines.hole[order])


def _joined(parts: list[Outlines]) -> Outlines:
    lengths = [np.diff(part.offsets) for part in parts]
    return Outlines(
        np.concatenate([part.points for part in parts]),
        np.concatenate(([0], np.cumsum(np.concatenate(lengths)))),
        np.concatenate([part.owner for part in parts]),
        np.concatenate([part.hole for part in parts]),
    )
