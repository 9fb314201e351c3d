"""Components followed from strip to strip: what is finished is handed on, the rest is kept open."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsclip.vectors.components import Runs, connect, find_runs
from rsclip.vectors.edges import Edges, border_edges, changes_of, closing_edges, strip_edges
from rsclip.vectors.rings import Rings, drop_straight, trace

__all__ = ["Finished", "Reshape", "Stream", "Strip"]

Metres2 = NDArray[np.float64]

Reshape = Callable[[NDArray[Any], NDArray[np.bool_], NDArray[np.int32], int], Edges]
"""Gives the edges inside a strip another shape: (values, changes, component of each pixel, top) to
edges whose owners are those components. Borders of the strip stay as they are and are left out."""


@dataclass(frozen=True, slots=True)
class Strip:
    """The next rows of a label raster.

    Attributes:
        values: Labels (n, W), n >= 1.
        m2: Ground area of the pixels, float64 (n, 1) or (n, W); None where it is not known.
        score: uint8 (n, W) percent; None where there is none.
    """

    values: NDArray[Any]
    m2: Metres2 | None = None
    score: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Components of which every pixel is known, in order of their first strip.

    Attributes:
        values: Label of each, (K,).
        pixels: int64 (K,).
        m2: float64 (K,) ground area of their pixels, or None.
        score: float64 (K,) sum of their percent, or None.
        rings: Their outlines; owners 0 to K - 1, in whole units.
    """

    values: NDArray[Any]
    pixels: NDArray[np.int64]
    m2: Metres2 | None
    score: NDArray[np.float64] | None
    rings: Rings


class Stream:
    """Turn strips of labels into components with their outlines.

    Two pixels are of one component where a chain of equal pixels, side by side, leads from one to
    the other, whatever strip they are in. Held between strips is what may still grow: the outlines
    so far and sums of the components that reach the last row.

    Args:
        width: Columns of the raster.
        excluded: Labels that have no outlines (nodata, unclassified).
        units: How many units of outlines make a pixel.
        reshape: Gives edges inside a strip another shape; None leaves them on pixel sides.
    """

    def __init__(
        self,
        width: int,
        excluded: set[int],
        *,
        units: int = 1,
        reshape: Reshape | None = None,
    ) -> None:
        self._width = width
        self._excluded = sorted(excluded)
        self._units = units
        self._reshape = reshape
        self._row = 0
        self._above: NDArray[Any] | None = None
        self._above_open = np.empty(0, np.int64)  # open component of the pixels of the last row
        self._sums: dict[str, NDArray[Any]] = {}
        self._edges: dict[int, list[Edges]] = {}

    def run(self, strips: Iterator[Strip]) -> Iterator[Finished]:
        """Yield what each strip finishes, then what the end of the raster does."""
        for strip in strips:
            yield self._add(strip)
        yield self._end()

    def _add(self, strip: Strip) -> Finished:
        values = strip.values
        changes = changes_of(values)
        runs = find_runs(values, changes)
        pixels = runs.paint(values.shape)
        joint, total = self._join(values[0], pixels[0], runs.count)
        opened = len(joint) - runs.count
        local, below = joint[:opened], joint[opened:]
        sums = self._add_sums(strip, runs, joint, total)
        outlined = ~np.isin(sums["values"], self._excluded)
        edges = self._strip_edges(values, changes, pixels, local, below, outlined)
        store = self._moved(local)
        remains = np.zeros(total, np.bool_)
        remains[below[pixels[-1]]] = True
        finished = self._close(sums, edges, store, ~remains & outlined)
        self._keep(sums, edges, store, remains, outlined)
        number = np.cumsum(remains) - 1
        self._above, self._above_open = values[-1].copy(), number[below[pixels[-1]]]
        self._row += len(values)
        return finished

    def _end(self) -> Finished:
        assert self._above is not None
        outlined = ~np.isin(self._sums["values"], self._excluded)
        owners = np.where(outlined[self._above_open], self._above_open, -1)
        edges = closing_edges(changes_of(self._above[None])[0], owners, self._row)
        edges = Edges(edges.owner, edges.points * np.int32(self._units))
        return self._close(self._sums, edges, self._edges, outlined)

    def _join(
        self, first: NDArray[Any], pixels: NDArray[np.int32], count: int
    ) -> tuple[NDArray[np.int64], int]:
        """Unite open components with those of the strip that touch them.

        Returns:
            Joint number of the open components and then of the strip's, and how many there are.
        """
        if self._above is None:
            return np.arange(count), count
        opened = len(self._sums["values"])
        touching = np.flatnonzero(self._above == first)
        return connect(
            opened + count, self._above_open[touching], opened + pixels[touching].astype(np.int64)
        )

    def _add_sums(
        self, strip: Strip, runs: Runs, joint: NDArray[np.int64], total: int
    ) -> dict[str, NDArray[Any]]:
        opened = len(joint) - runs.count
        below = joint[opened:]
        of_run = below[runs.component]
        sums: dict[str, NDArray[Any]] = {"pixels": _sum(of_run, runs.lengths, total, np.int64)}
        if strip.m2 is not None:
            if strip.m2.shape[1] == 1:
                each = runs.lengths * strip.m2[runs.starts[:-1] // self._width, 0]
            else:
                each = runs.sums(_running(strip.m2))
            sums["m2"] = _sum(of_run, each, total, np.float64)
        if strip.score is not None:
            sums["score"] = _sum(of_run, runs.sums(_running(strip.score)), total, np.float64)
        values = np.empty(total, strip.values.dtype)
        values[below] = strip.values.ravel()[runs.first]
        if opened:
            values[joint[:opened]] = self._sums["values"]
            for name, value in sums.items():
                value += _sum(joint[:opened], self._sums[name], total, value.dtype)
        return {"values": values, **sums}

    def _strip_edges(
        self,
        values: NDArray[Any],
        changes: NDArray[np.bool_],
        pixels: NDArray[np.int32],
        local: NDArray[np.int64],
        below: NDArray[np.int64],
        outlined: NDArray[np.bool_],
    ) -> Edges:
        """Return the strip's edges, owned by joint components, in units."""
        above = None if self._above is None else local[self._above_open]
        owner = np.where(outlined, np.arange(len(outlined)), -1)
        owners_above = None if above is None else owner[above]
        if self._reshape is None:
            # In the smaller type: these are as many as the pixels.
            owners = owner[below].astype(np.int32)[pixels]
            edges = strip_edges(values, changes, self._above, owners, owners_above, self._row)
            return Edges(edges.owner, edges.points * np.int32(self._units))
        inside = self._reshape(values, changes, pixels, self._row)
        inside = Edges(owner[below[inside.owner]], inside.points)
        inside = inside.take(inside.owner >= 0)
        first = owner[below[pixels[0]]]
        if self._above is None or owners_above is None:
            # Like the lower border, seen from the other side.
            border = closing_edges(changes[0], first, self._row)
            border = Edges(border.owner, border.points[:, [2, 3, 0, 1]])
        else:
            border = border_edges(self._above, values[0], owners_above, first, self._row)
        return Edges.join([inside, Edges(border.owner, border.points * np.int32(self._units))])

    def _moved(self, local: NDArray[np.int64]) -> dict[int, list[Edges]]:
        """Return the open components' edges by joint number; the shorter list joins the longer."""
        store: dict[int, list[Edges]] = {}
        for number, parts in self._edges.items():
            key = int(local[number])
            there = store.get(key)
            if there is None:
                store[key] = parts
            elif len(there) >= len(parts):
                there.extend(parts)
            else:
                parts.extend(there)
                store[key] = parts
        return store

    def _close(
        self,
        sums: dict[str, NDArray[Any]],
        edges: Edges,
        store: dict[int, list[Edges]],
        closed: NDArray[np.bool_],
    ) -> Finished:
        """Make the outlines of finished components, and forget their edges."""
        ours = edges.take(closed[edges.owner])
        parts = [ours]
        for key in [key for key in store if closed[key]]:
            kept = (part.points for part in store.pop(key))
            parts.extend(Edges(np.full(len(points), key, np.int64), points) for points in kept)
        index = np.flatnonzero(closed)
        number = np.cumsum(closed) - 1
        joined = [Edges.join(parts)]
        # The largest polygon decides how much memory a run needs: nothing is kept twice.
        parts.clear()
        rings = trace(joined.pop())
        if self._reshape is None:
            # Shaped outlines keep all: neighbours then have the same vertices.
            rings = drop_straight(rings)
        rings = Rings(rings.points, rings.offsets, number[rings.owner], rings.area)
        return Finished(
            sums["values"][index],
            sums["pixels"][index],
            sums["m2"][index] if "m2" in sums else None,
            sums["score"][index] if "score" in sums else None,
            rings,
        )

    def _keep(
        self,
        sums: dict[str, NDArray[Any]],
        edges: Edges,
        store: dict[int, list[Edges]],
        remains: NDArray[np.bool_],
        outlined: NDArray[np.bool_],
    ) -> None:
        """Hold what is not finished, numbered anew."""
        number = np.cumsum(remains) - 1
        self._sums = {name: value[remains] for name, value in sums.items()}
        self._edges = {int(number[key]): parts for key, parts in store.items()}
        left = edges.take(remains[edges.owner])
        left = left.take(np.argsort(left.owner, kind="stable"))
        owners, starts = np.unique(left.owner, return_index=True)
        for owner, points in zip(owners, np.split(left.points, starts)[1:], strict=True):
            # A copy: a view would keep the edges of all others alive.
            part = Edges(np.empty(0, np.int64), points.copy())
            self._edges.setdefault(int(number[owner]), []).append(part)


def _sum(group: NDArray[np.int64], values: NDArray[Any], count: int, dtype: Any) -> NDArray[Any]:
    return np.bincount(group, values, minlength=count).astype(dtype)


def _running(values: NDArray[Any]) -> NDArray[Any]:
    kind = np.int64 if values.dtype.kind in "iu" else np.float64
    running = np.zeros(values.size + 1, kind)
    np.cumsum(values, out=running[1:], dtype=kind)
    return running
