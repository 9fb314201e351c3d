"""Outlines simplified and smoothed, neighbours together: a shared edge stays one edge.

Every strip is a coverage of its own, nodata and unclassified pixels included, with a vertex
wherever three regions meet. Where an outline crosses from strip to strip it stays where it is, so
that strips fit together.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.geo.measure import following
from rsclip.vectors.edges import Edges, closing_edges, strip_edges
from rsclip.vectors.features import Outlines
from rsclip.vectors.rings import trace

__all__ = ["SMOOTH_UNITS", "Reshaper"]

Index = NDArray[np.int64]

_ROUNDS = 2
SMOOTH_UNITS = 4**_ROUNDS
"""Units in a pixel in which smoothed outlines are whole numbers."""

# Attempts to smooth a coverage with fewer and fewer vertices moved.
_ATTEMPTS = 6


class Reshaper:
    """Simplify, and optionally smooth, the outlines within a strip.

    Simplification is Visvalingam and Whyatt's (1993) on shared edges, `shapely.coverage_simplify`;
    smoothing is Chaikin's corner cutting (1974) with the meeting points of three regions fixed.

    Args:
        tolerance: Pixels; vertices go whose triangle with their neighbours is smaller than its
            square.
        smooth: Round what is left.
    """

    def __init__(self, tolerance: float, *, smooth: bool) -> None:
        self._tolerance = tolerance
        self._smooth = smooth

    @property
    def units(self) -> int:
        """Units in a pixel of the edges that come out."""
        return SMOOTH_UNITS if self._smooth else 1

    def __call__(
        self,
        values: NDArray[Any],
        changes: NDArray[np.bool_],
        pixels: NDArray[np.int32],
        top: int,
    ) -> Edges:
        """Return the edges inside a strip, none along its upper and lower border.

        Args:
            values: Labels (n, W).
            changes: bool (n, W + 1), as `changes_of` gives them.
            pixels: Component (n, W) of every pixel.
            top: y of the first row.
        """
        rows, width = values.shape
        bottom = top + rows
        edges = Edges.join(
            [
                strip_edges(values, changes, None, pixels, None, top),
                closing_edges(changes[-1], pixels[-1], bottom),
            ]
        )
        rings = trace(edges)
        outlines = Outlines(
            rings.points.astype(np.float64), rings.offsets, rings.owner, rings.area < 0
        )
        simple = shapely.coverage_simplify(
            outlines.polygons(), self._tolerance, simplify_boundary=False
        )
        points, offsets, owner = _rings(simple)
        if self._smooth:
            points *= SMOOTH_UNITS
            box = tuple(side * SMOOTH_UNITS for side in (0, top, width, bottom))
            points, offsets = _smoothed(points, offsets, owner, box)
        top, bottom = top * self.units, bottom * self.units
        ends = points[following(offsets)]
        y0, y1 = points[:, 1], ends[:, 1]
        border = (y0 == y1) & ((y0 == top) | (y0 == bottom))
        owners = np.repeat(owner, np.diff(offsets))
        made = Edges(owners, np.concatenate([points, ends], axis=1).astype(np.int32))
        return made.take(~border)


def _rings(polygons: NDArray[np.object_]) -> tuple[Index, Index, Index]:
    """Return whole points, offsets and owners of the rings of polygons, clockwise as seen."""
    # y points down: counter-clockwise in numbers is clockwise to the eye.
    polygons = shapely.orient_polygons(polygons, exterior_cw=False)
    _, points, (rings, owners) = shapely.to_ragged_array(polygons)
    # Without the closing points.
    kept = np.ones(len(points), np.bool_)
    kept[rings[1:] - 1] = False
    offsets = rings - np.arange(len(rings))
    owner = np.repeat(np.arange(len(polygons)), np.diff(owners))
    return np.rint(points[kept]).astype(np.int64), offsets.astype(np.int64), owner


def _smoothed(
    points: Index, offsets: Index, owner: Index, box: tuple[int, ...]
) -> tuple[Index, Index]:
    """Round the rings of a coverage as far as it stays valid."""
    left, top, right, bottom = box
    x, y = points.T
    key = y * (right + 1) + x
    _, number = np.unique(key, return_inverse=True)
    fixed = (x == left) | (x == right) | (y == top) | (y == bottom)
    fixed |= _meetings(number, offsets)[number]
    for _ in range(_ATTEMPTS):
        rounded, ends = points, offsets
        held = fixed
        for _ in range(_ROUNDS):
            rounded, ends, held = _cut_corners(rounded, ends, held)
        bad = _broken(rounded, ends, owner)
        if not bad.any():
            return rounded, ends
        # All vertices of what broke stay where they are, in the neighbours too.
        of_point = np.repeat(owner, np.diff(offsets))
        held_numbers = np.zeros(number.max() + 1, np.bool_)
        held_numbers[number[bad[of_point]]] = True
        fixed = fixed | held_numbers[number]
    return points, offsets


def _meetings(number: Index, offsets: Index) -> NDArray[np.bool_]:
    """Return which vertices have more or less than two edges, by vertex number."""
    count = int(number.max()) + 1
    after = number[following(offsets)]
    low, high = np.minimum(number, after), np.maximum(number, after)
    edges = np.unique(low * count + high)
    degree = np.bincount(edges // count, minlength=count)
    degree += np.bincount(edges % count, minlength=count)
    return np.asarray(degree != 2)


def _cut_corners(
    points: Index, offsets: Index, fixed: NDArray[np.bool_]
) -> tuple[Index, Index, NDArray[np.bool_]]:
    """Put two points, a quarter along its edges, in the place of each vertex that is not fixed.

    In whole numbers both neighbours of an edge get the very same points.
    """
    after = following(offsets)
    before = np.empty_like(after)
    before[after] = np.arange(len(after))
    copies = np.where(fixed, 1, 2)
    start = np.cumsum(copies) - copies
    made = np.empty((int(copies.sum()), 2), np.int64)
    made[start] = np.where(fixed[:, None], points, (3 * points + points[before]) // 4)
    free = ~fixed
    made[start[free] + 1] = (3 * points[free] + points[after[free]]) // 4
    running = np.concatenate(([0], np.cumsum(copies)))
    return made, running[offsets], np.repeat(fixed, copies)


def _broken(points: Index, offsets: Index, owner: Index) -> NDArray[np.bool_]:
    """Return which polygons of a coverage are not valid or do not fit their neighbours."""
    hole = np.concatenate(([False], owner[1:] == owner[:-1]))
    polygons = Outlines(points.astype(np.float64), offsets, owner, hole).polygons()
    bad = ~shapely.is_valid(polygons)
    if not bad.any():
        bad = ~shapely.is_empty(shapely.coverage_invalid_edges(polygons))
    return np.asarray(bad)
