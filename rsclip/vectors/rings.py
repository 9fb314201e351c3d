"""Directed edges to rings."""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsclip.vectors.edges import Edges

__all__ = ["Rings", "drop_straight", "trace"]

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rings:
    """Closed rings, grouped by owner, the outer ring of each owner first.

    Attributes:
        points: int32 (N, 2) x and y; the first point of a ring is not repeated.
        offsets: int64 (R + 1,) where each ring begins.
        owner: int64 (R,) component of each ring, ascending.
        area: float64 (R,) square pixels, negative for holes.
    """

    points: NDArray[np.int32]
    offsets: Index
    owner: Index
    area: NDArray[np.float64]


def trace(edges: Edges) -> Rings:
    """Link edges to rings.

    Where a component touches itself at a corner, the ring turns left, around what lies outside: an
    outside region and the next are then rings of their own, which touch at points only, as valid
    polygons ask.

    Args:
        edges: All edges of some components; each point has as many coming as going.
    """
    count = len(edges)
    if not count:
        empty = np.empty(0, np.int64)
        return Rings(np.empty((0, 2), np.int32), np.zeros(1, np.int64), empty, np.empty(0))
    order, offsets = _walk(_following(edges))
    points = edges.points[order, :2]
    owner = edges.owner[order[offsets[:-1]]]
    del edges, order
    return _grouped(points, offsets, owner)


def drop_straight(rings: Rings) -> Rings:
    """Leave out the points at which a ring goes straight on."""
    before, after = _neighbours(rings.offsets)
    x, y = rings.points.T.astype(np.int64)
    kept = (x - x[before]) * (y[after] - y) != (x[after] - x) * (y - y[before])
    running = np.concatenate(([0], np.cumsum(kept)))
    return Rings(rings.points[kept], running[rings.offsets], rings.owner, rings.area)


def _following(edges: Edges) -> Index:
    """Return the edge that follows each edge."""
    points = edges.points
    low, high = points.min(axis=0), points.max(axis=0)
    corner = int(min(low[0], low[2])), int(min(low[1], low[3]))
    width = int(max(high[0], high[2])) - corner[0] + 1
    height = int(max(high[1], high[3])) - corner[1] + 1

    def keys(column: int) -> Index:
        # In place: the largest polygon decides how much memory a run needs.
        key: Index = edges.owner - edges.owner.min()
        key *= height
        key += points[:, column + 1]
        key -= corner[1]
        key *= width
        key += points[:, column]
        key -= corner[0]
        return key

    coming = np.argsort(keys(2))
    start = keys(0)
    going = np.argsort(start)
    start = start[going]
    twice = np.flatnonzero(start[1:] == start[:-1])
    del start
    if len(twice):
        incoming = points[coming[twice]].astype(np.int64)
        one = _turn(incoming, points[going[twice]].astype(np.int64))
        other = _turn(incoming, points[going[twice + 1]].astype(np.int64))
        swap = twice[other < one]
        going[swap], going[swap + 1] = going[swap + 1], going[swap]
    following = np.empty(len(going), np.int64)
    following[coming] = going
    return following


def _turn(come: Index, go: Index) -> NDArray[np.float64]:
    """Return the angle from one edge to the next, -pi (left) to pi (right) as seen."""
    ax, ay = come[:, 2] - come[:, 0], come[:, 3] - come[:, 1]
    bx, by = go[:, 2] - go[:, 0], go[:, 3] - go[:, 1]
    return np.asarray(np.arctan2(ax * by - ay * bx, ax * bx + ay * by))


def _walk(following: Index) -> tuple[Index, Index]:
    """Return the edges ring after ring, and where each ring begins; `following` is used up."""
    # Every step is one look-up: plain Python is fast enough, and nothing else is as simple.
    ahead = memoryview(following.data)
    order, offsets = array("q"), array("q", [0])
    add = order.append
    for first in range(len(ahead)):
        if ahead[first] < 0:
            continue
        at = first
        while (after := ahead[at]) >= 0:
            ahead[at] = -1
            add(at)
            at = after
        offsets.append(len(order))
    return np.frombuffer(order, np.int64), np.frombuffer(offsets, np.int64)


def _neighbours(offsets: Index) -> tuple[Index, Index]:
    """Return the point before and after each point of its ring."""
    count = offsets[-1]
    before, after = np.arange(-1, count - 1), np.arange(1, count + 1)
    before[offsets[:-1]] = offsets[1:] - 1
    after[offsets[1:] - 1] = offsets[:-1]
    return before, after


def _grouped(points: NDArray[np.int32], offsets: Index, owner: Index) -> Rings:
    _, after = _neighbours(offsets)
    # Relative to the ring's first point the products stay small.
    local = points - np.repeat(points[offsets[:-1]], np.diff(offsets), axis=0)
    x, y = local.T.astype(np.int64)
    area = np.add.reduceat(x * y[after] - x[after] * y, offsets[:-1]) / 2
    del local, x, y, after
    order = np.lexsort((area < 0, owner))
    lengths = np.diff(offsets)[order]
    moved = np.concatenate(([0], np.cumsum(lengths)))
    index = np.arange(moved[-1]) + np.repeat(offsets[:-1][order] - moved[:-1], lengths)
    return Rings(points[index], moved, owner[order], area[order])
