"""Cracks: the pixel sides between unequal labels, as straight segments between corners and nodes.

x counts columns to the right, y rows down, in whole pixels. Each segment gives two directed edges,
one for the component on either side, which always lies to the right of its edge as the raster is
seen: outer rings run clockwise, holes the other way.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Edges", "border_edges", "changes_of", "closing_edges", "strip_edges"]

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Edges:
    """Directed straight edges.

    Attributes:
        owner: int64 (E,) component to the right of each edge.
        points: int32 (E, 4) x and y of its start, x and y of its end.
    """

    owner: NDArray[np.int64]
    points: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, chosen: NDArray[Any]) -> "Edges":
        """Return some of the edges."""
        return Edges(self.owner[chosen], self.points[chosen])

    @staticmethod
    def join(parts: "list[Edges]") -> "Edges":
        """Return all edges of several records."""
        if not parts:
            return Edges(np.empty(0, np.int64), np.empty((0, 4), np.int32))
        return Edges(
            np.concatenate([part.owner for part in parts]),
            np.concatenate([part.points for part in parts]),
        )


def changes_of(values: NDArray[Any]) -> Bool:
    """Return where rows change, bool (n, W + 1): at x pixels x - 1 and x differ, or one ends."""
    changes = np.ones((values.shape[0], values.shape[1] + 1), np.bool_)
    np.not_equal(values[:, 1:], values[:, :-1], out=changes[:, 1:-1])
    return changes


def strip_edges(
    values: NDArray[Any],
    changes: Bool,
    above: NDArray[Any] | None,
    owners: NDArray[Any],
    owners_above: NDArray[Any] | None,
    top: int,
) -> Edges:
    """Return the edges of a strip: along its upper border and within, not along its lower border.

    Segments end at every corner and wherever a third region touches, so that neighbours have the
    same vertices.

    Args:
        values: Labels (n, W).
        changes: As `changes_of` gives them.
        above: Labels (W,) of the row above; None where there is none.
        owners: Component (n, W) of every pixel, below 0 for those that need no edges.
        owners_above: The same for the row above.
        top: y of the strip's first row.
    """
    same = values[1:] == values[:-1]
    parts = [_upright(changes, same, owners, top)]
    parts += _level(changes, same, above, values[0], owners, owners_above, top)
    return Edges.join(parts)


def closing_edges(changes: Bool, owners: NDArray[Any], bottom: int) -> Edges:
    """Return the edges along the lower border of a strip, where nothing follows.

    Args:
        changes: bool (W + 1,) of the last row.
        owners: Component (W,) of its pixels.
        bottom: y of the border.
    """
    ends = np.flatnonzero(changes)
    return _edges(owners[ends[:-1]], ends[1:], bottom, ends[:-1], bottom)


def border_edges(
    above: NDArray[Any], below: NDArray[Any], owners: Any, others: Any, y: int
) -> Edges:
    """Return the edges along the line between two rows.

    Args:
        above: Labels (W,) of the row above the line.
        below: Labels (W,) of the row below.
        owners: Component (W,) of the pixels above, below 0 for those that need no edges.
        others: The same of the pixels below.
        y: Position of the line.
    """
    crack = (above != below)[None]
    parted = np.ones((1, len(above) - 1), np.bool_)
    parted[0] = (above[1:] != above[:-1]) | (below[1:] != below[:-1])
    _, left, right = _segments(crack, ~parted)
    return Edges.join(
        [
            _edges(others[left], left, y, right, y),
            _edges(owners[left], right, y, left, y),
        ]
    )


def _upright(changes: Bool, same: Bool, owners: NDArray[Any], top: int) -> Edges:
    rows, width = owners.shape
    # Beyond the scene nothing changes.
    padded = np.ones((rows - 1, width + 2), np.bool_)
    padded[:, 1:-1] = same
    going_on = padded[:, 1:] & padded[:, :-1]
    # Transposed: along a crack, pixels follow one another.
    x, y0, y1 = _segments(np.ascontiguousarray(changes.T), np.ascontiguousarray(going_on.T))
    flat = owners.ravel()
    at = y0 * width + x
    left = np.where(x > 0, flat[at - 1], -1)
    right = np.where(x < width, flat[np.minimum(at, flat.size - 1)], -1)
    y0, y1 = y0 + top, y1 + top
    return Edges.join([_edges(left, x, y0, x, y1), _edges(right, x, y1, x, y0)])


def _level(
    changes: Bool,
    same: Bool,
    above: NDArray[Any] | None,
    first: NDArray[Any],
    owners: NDArray[Any],
    owners_above: NDArray[Any] | None,
    top: int,
) -> list[Edges]:
    rows, width = owners.shape
    parts = []
    if above is None or owners_above is None:
        ends = np.flatnonzero(changes[0])
        parts.append(_edges(owners[0, ends[:-1]], ends[:-1], top, ends[1:], top))
    else:
        parts.append(border_edges(above, first, owners_above, owners[0], top))
    if rows > 1:
        going_on = ~(changes[1:, 1:-1] | changes[:-1, 1:-1])
        y, x0, x1 = _segments(~same, going_on)
        flat = owners.ravel()
        at = y * width + x0
        y = y + top + 1
        parts.append(_edges(flat[at + width], x0, y, x1, y))
        parts.append(_edges(flat[at], x1, y, x0, y))
    return parts


def _segments(
    crack: Bool, going_on: Bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return line, start and end of the maximal straight stretches.

    Args:
        crack: bool (lines, m): a crack is here.
        going_on: bool (lines, m - 1): what is here goes on to the next.
    """
    joined = crack[:, 1:] & crack[:, :-1] & going_on
    size = crack.shape[1]
    ends = crack.copy()
    ends[:, :-1] &= ~joined
    crack = crack.copy()
    crack[:, 1:] &= ~joined
    starts, stops = np.flatnonzero(crack), np.flatnonzero(ends)
    line = starts // size
    return line, starts - line * size, stops - line * size + 1


def _edges(owner: NDArray[Any], x0: Any, y0: Any, x1: Any, y1: Any) -> Edges:
    points = np.empty((len(owner), 4), np.int32)
    for column, value in enumerate((x0, y0, x1, y1)):
        points[:, column] = value
    wanted = owner >= 0
    if wanted.all():
        return Edges(owner.astype(np.int64), points)
    return Edges(owner[wanted].astype(np.int64), points[wanted])
