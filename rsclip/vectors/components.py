"""Connected components of a strip: pixels of equal value that share a side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Runs", "connect", "find_runs"]

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of equal pixels within rows, in row-major order, and the components they form.

    Attributes:
        starts: int64 (R + 1,) first pixel of each run, flat; the number of pixels last.
        component: int64 (R,) component of each run, numbered by first pixel.
        count: Number of components K.
        first: int64 (K,) first pixel of each component, flat.
    """

    starts: Index
    component: Index
    count: int
    first: Index

    @property
    def lengths(self) -> Index:
        """int64 (R,) pixels of each run."""
        return np.diff(self.starts)

    def sums(self, running: NDArray[Any]) -> NDArray[Any]:
        """Return sums per run, (R,), from flat running sums (pixels + 1,) that begin with 0."""
        return np.diff(running[self.starts])

    def paint(self, shape: tuple[int, int]) -> NDArray[np.int32]:
        """Return the component of every pixel, int32 (n, W)."""
        return np.repeat(self.component.astype(np.int32), self.lengths).reshape(shape)


def find_runs(values: NDArray[Any], changes: NDArray[np.bool_]) -> Runs:
    """Find the components of a strip.

    Args:
        values: Labels (n, W).
        changes: bool (n, W + 1), True where a row's value changes, and at both of its ends.
    """
    rows, width = values.shape
    starts = np.flatnonzero(changes[:, :-1])
    count = len(starts)
    # Run of each pixel where a run begins in its row or the one above: there a pair of touching
    # runs is met first.
    either = changes[1:, :-1] | changes[:-1, :-1]
    either &= values[1:] == values[:-1]
    below = np.flatnonzero(either) + width
    upper = np.searchsorted(starts, below - width, side="right") - 1
    lower = np.searchsorted(starts, below, side="right") - 1
    component, total = connect(count, upper, lower)
    first = np.full(total, rows * width, np.int64)
    # Backwards, so that the earliest run is written last.
    first[component[::-1]] = starts[::-1]
    return Runs(np.append(starts, rows * width), component, total, first)


def connect(count: int, one: Index, other: Index) -> tuple[Index, int]:
    """Number the connected components of a graph in order of their lowest node.

    Rounds of hooking (a root under a lower neighbour) and pointer jumping; every round leaves at
    most half of the roots that still have an edge.

    Args:
        count: Number of nodes.
        one: int64 (E,) an end of each edge.
        other: int64 (E,) the other end.

    Returns:
        int64 (count,) component of each node, and the number of components.
    """
    parent = np.arange(count)
    while len(one):
        low, high = np.minimum(one, other), np.maximum(one, other)
        parent[high] = low
        while True:
            further = parent[parent]
            if np.array_equal(further, parent):
                break
            parent = further
        one, other = parent[low], parent[high]
        apart = one != other
        one, other = one[apart], other[apart]
    roots = parent == np.arange(count)
    number = np.cumsum(roots) - 1
    return number[parent], int(roots.sum())
