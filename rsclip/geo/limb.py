"""Ground areas of a grid that reaches beyond the edge of the Earth."""

import numpy as np
from numpy.typing import NDArray

from rsclip.geo.earth import Earth, on_sphere, quads, sphere_scale, triangles
from rsclip.types import Shape

__all__ = ["Edge"]

Float = NDArray[np.float64]

# Cells along each side: near the edge pixels are measured one by one, so these are small.
_CELLS = 256
# Rectangles measured at once.
_CHUNK = 50_000
# Points on each side of a rectangle that the edge cuts.
_SIDE = 4
# Halvings of the way from the Earth to a point beyond it.
_HALVINGS = 20


class Edge:
    """Measure pixels one by one in and beside the cells that the edge of the Earth cuts.

    Args:
        earth: Of the grid.
        shape: (height, width) in pixels.

    Attributes:
        cells: float64 (n, m) square metres a pixel in each cell, 0 where all lies off the Earth.
        piece: The longer side of a cell, pixels.
    """

    def __init__(self, earth: Earth, shape: Shape) -> None:
        self._earth = earth
        self._shape = shape
        rows, cols = (np.linspace(0, size, min(size, _CELLS) + 1) for size in shape)
        left, top = np.meshgrid(cols[:-1], rows[:-1])
        right, bottom = np.meshgrid(cols[1:], rows[1:])
        ground, cut = self._rectangles(*(part.ravel() for part in (left, top, right, bottom)))
        self.cells = ground.reshape(left.shape) / np.outer(np.diff(rows), np.diff(cols))
        self.piece = float(max(rows[1], cols[1]))
        before = np.cumsum(self.cells * np.diff(cols), axis=1)
        self._before = np.column_stack([np.zeros(len(before)), before])
        # Interpolation reaches into the next cell; where that is empty too there is no ground.
        self._single = _around(cut.reshape(left.shape)) & _around(self.cells > 0)

    def measure(self, area: Float, start: int, stop: int) -> Float:
        """Return interpolated areas of some rows, (n, W) or (n, 1), with single pixels set right.

        Args:
            area: Square metres; may be changed.
            start: First row.
            stop: Row after the last.
        """
        height, width = self._shape
        down = (np.arange(start, stop) * 2 + 1) * len(self._single) // (2 * height)
        across = (np.arange(width) * 2 + 1) * self._single.shape[1] // (2 * width)
        if not self._single[down].any():
            return area
        rows, cols = np.nonzero(self._single[down][:, across])
        if area.shape[1] == 1:
            area = np.repeat(area, width, axis=1)
        x, y = cols.astype(np.float64), (rows + start).astype(np.float64)
        area[rows, cols] = self._rectangles(x, y, x + 1, y + 1)[0]
        return area

    def before(self, x: Float, y: Float) -> Float:
        """Return the ground from the left side to x along lines, a pixel of height, (N,).

        Summed over the cells: across the edge of the Earth areas jump.
        """
        rows, cols = self.cells.shape
        row = np.floor(y * (rows / self._shape[0])).astype(np.intp).clip(0, rows - 1)
        at = (x * (cols / self._shape[1])).clip(0, cols)
        low = np.floor(at).astype(np.intp).clip(0, cols - 1)
        left, right = self._before[row, low], self._before[row, low + 1]
        return np.asarray(left + (right - left) * (at - low))

    def _rectangles(
        self, left: Float, top: Float, right: Float, bottom: Float
    ) -> tuple[Float, NDArray[np.bool_]]:
        """Return the ground in rectangles of the grid, (N,), and whether a corner lies off it."""
        ground = np.empty(len(left))
        cut = np.empty(len(left), np.bool_)
        for begin in range(0, len(left), _CHUNK):
            some = slice(begin, begin + _CHUNK)
            west, north, east, south = left[some], top[some], right[some], bottom[some]
            x, y = np.stack([west, east, east, west]), np.stack([north, north, south, south])
            whole = quads(*on_sphere(self._earth, x, y))
            cut[some] = np.isnan(whole)
            at = np.flatnonzero(cut[some])
            whole[at] = self._parts(west[at], north[at], east[at], south[at])
            ground[some] = whole
        return ground * sphere_scale(self._earth.geod), cut

    def _parts(self, left: Float, top: Float, right: Float, bottom: Float) -> Float:
        """Return the areas (N,), on the unit sphere, of the parts of rectangles on the Earth.

        Points of the outline beyond the edge are drawn towards one on the Earth, up to the edge;
        triangles from there make the area.
        """
        part = np.arange(_SIDE) / _SIDE
        none, all_ = part * 0, part * 0 + 1
        x, y = (
            low[:, None] + (high - low)[:, None] * np.concatenate(ways)
            for low, high, ways in (
                (left, right, (part, all_, 1 - part, none)),
                (top, bottom, (none, part, all_, 1 - part)),
            )
        )
        # The middle first: most often it is the point to draw to.
        x = np.column_stack([(left + right) / 2, x])
        y = np.column_stack([(top + bottom) / 2, y])
        on = ~np.isnan(self._earth.at(x, y)[0])
        area = np.zeros(len(left))
        some = np.flatnonzero(on.any(axis=1))
        if not len(some):
            return area
        x, y, on = x[some], y[some], on[some]
        first = on.argmax(axis=1)[:, None]
        from_x, from_y = np.take_along_axis(x, first, 1), np.take_along_axis(y, first, 1)
        step_x, step_y = x - from_x, y - from_y
        share = on.astype(np.float64)
        off = np.nonzero(~on)
        low, width = np.zeros(len(off[0])), 1.0
        for _ in range(_HALVINGS):
            width /= 2
            at = low + width
            there = self._earth.at(
                from_x[off[0], 0] + at * step_x[off], from_y[off[0], 0] + at * step_y[off]
            )
            low = np.where(np.isnan(there[0]), low, at)
        share[off] = low
        points = on_sphere(self._earth, from_x + share * step_x, from_y + share * step_y)
        middle = np.take_along_axis(points, first[..., None], 1)
        ring = points[:, 1:]
        area[some] = np.abs(triangles(middle, ring, np.roll(ring, -1, axis=1)).sum(axis=1))
        return area


def _around(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells that are chosen or beside a chosen one."""
    padded = np.pad(cells, 1)
    height, width = cells.shape
    found = np.zeros_like(cells)
    for down in range(3):
        for across in range(3):
            found |= padded[down : down + height, across : across + width]
    return found
