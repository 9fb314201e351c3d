"""True areas and lengths of outlines in pixel coordinates, in any CRS."""

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.area import GroundArea
from rsclip.geo.earth import Earth
from rsclip.geo.units import PROJ_ERRORS, metres_per_unit
from rsclip.types import Shape

__all__ = ["Measure"]

Float = NDArray[np.float64]
Index = NDArray[np.int64]

# Pieces of the scene's longer side beyond which an edge is cut before its area is taken.
_PIECES = 64
# Edges measured at once: the largest polygon may have millions.
_CHUNK = 50_000
# Nodes of the table of pixel sizes along each side.
_NODES = 128
# Nodes and weights of Gauss (2 points) along an edge, of Simpson across.
_GAUSS = (0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5)


class Measure:
    """Measure rings in pixels (x along columns, y along rows) on the ground.

    Args:
        crs: The grid's, or None: then everything is counted in pixels.
        transform: From (column, row) to coordinates; may be rotated.
        shape: (height, width) in pixels.

    Attributes:
        ground: Areas of the pixels; None where they have no place on Earth.
    """

    def __init__(self, crs: CRS | None, transform: Affine, shape: Shape) -> None:
        self._shape = shape
        self.ground = GroundArea.measure(crs, transform, shape)
        self._metric = np.ones((3, 1, 1)) * np.array([1.0, 0.0, 1.0])[:, None, None]
        if self.ground is not None and crs:
            self._metric = _metric(crs, transform, shape)

    @property
    def on_ground(self) -> bool:
        """Whether results are metres, not pixels."""
        return self.ground is not None

    def pixel_side(self) -> float:
        """Return the side of a square as large as the middle pixel, metres.

        1 without a CRS, and where that pixel lies off the Earth.
        """
        if self.ground is None:
            return 1.0
        height, width = self._shape
        middle = self.ground.at(np.array([width / 2]), np.array([height / 2]))
        side = float(np.sqrt(middle[0]))
        return side if 0 < side < np.inf else 1.0

    def pixel_size(self, x: float, y: float) -> tuple[float, float]:
        """Return width and height of the pixel at a point, metres."""
        metric = self._metric_at(np.array([x]), np.array([y]))
        return float(np.sqrt(metric[0, 0])), float(np.sqrt(metric[2, 0]))

    def areas(self, points: Float, offsets: Index) -> Float:
        """Return the area of each ring, clockwise as seen above 0, else below.

        Green's theorem: the integral of x dy around the ring, x weighted by the ground that a pixel
        covers.

        Args:
            points: float64 (N, 2) x and y in pixels; first points are not repeated.
            offsets: int64 (R + 1,).
        """
        after = following(offsets)
        lengths = np.diff(offsets)
        # From the ring's first point, so that the sums stay small.
        origin = np.repeat(points[offsets[:-1]], lengths, axis=0)
        start, step = points, points[after] - points
        if self.ground is None:
            local, ahead = start - origin, start + step - origin
            parts = (local[:, 0] * ahead[:, 1] - ahead[:, 0] * local[:, 1]) / 2
        else:
            limit = self.ground.piece or max(max(self._shape) / _PIECES, 16.0)
            pieces = np.maximum(np.ceil(np.abs(step).max(axis=1, initial=0) / limit), 1)
            pieces = pieces.astype(np.int64)
            parts = np.empty(len(step))
            for begin in range(0, len(step), _CHUNK):
                some = slice(begin, begin + _CHUNK)
                parts[some] = _cut_strips(
                    self.ground, start[some], step[some], pieces[some], origin[some, 0]
                )
        return np.asarray(np.add.reduceat(parts, offsets[:-1]))

    def lengths(self, points: Float, offsets: Index) -> Float:
        """Return the length of each ring, (R,).

        Args:
            points: As for `areas`.
            offsets: As for `areas`.
        """
        step = points[following(offsets)] - points
        if self.ground is None:
            long = np.hypot(step[:, 0], step[:, 1])
        else:
            long = np.empty(len(step))
            for begin in range(0, len(step), _CHUNK):
                part = slice(begin, begin + _CHUNK)
                e, f, g = self._metric_at(*(points[part] + step[part] / 2).T)
                dx, dy = step[part].T
                squared = e * dx * dx + 2 * f * dx * dy + g * dy * dy
                long[part] = np.sqrt(np.maximum(squared, 0))
        return np.asarray(np.add.reduceat(long, offsets[:-1]))

    def _metric_at(self, x: Float, y: Float) -> Float:
        table = self._metric
        low_y, y_part = _place(y, self._shape[0], table.shape[1])
        low_x, x_part = _place(x, self._shape[1], table.shape[2])
        high_y = np.minimum(low_y + 1, table.shape[1] - 1)
        high_x = np.minimum(low_x + 1, table.shape[2] - 1)
        upper = table[:, low_y, low_x] * (1 - x_part) + table[:, low_y, high_x] * x_part
        lower = table[:, high_y, low_x] * (1 - x_part) + table[:, high_y, high_x] * x_part
        return np.asarray(upper * (1 - y_part) + lower * y_part)


def following(offsets: Index) -> Index:
    """Return the point after each point of its ring."""
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return after


def _cut_strips(
    ground: GroundArea, start: Float, step: Float, pieces: Index, origin: Float
) -> Float:
    """Return what `_strips` does, of edges cut into so many pieces each."""
    edge = np.repeat(np.arange(len(pieces)), pieces)
    nth = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    cut = step[edge] / pieces[edge][:, None]
    small = _strips(ground, start[edge] + cut * nth[:, None], cut, origin[edge])
    return np.bincount(edge, small, minlength=len(pieces)).astype(np.float64)


def _strips(ground: GroundArea, start: Float, step: Float, origin: Float) -> Float:
    """Return the ground between each edge and the upright line through its origin."""
    total = np.zeros(len(start))
    # Level edges bound no such ground.
    some = np.flatnonzero(step[:, 1])
    start, step, origin = start[some], step[some], origin[some]
    for share in _GAUSS:
        x, y = (start + step * share).T
        total[some] += ground.between(origin, x, y) * step[:, 1] / 2
    return total


def _place(position: Float, size: int, nodes: int) -> tuple[Index, Float]:
    """Return the node before each position and how far it lies beyond it, 0 to 1 inside."""
    at = position * (nodes / size) - 0.5
    low = np.clip(np.floor(at), 0, max(nodes - 2, 0))
    return low.astype(np.int64), (at - low if nodes > 1 else np.zeros_like(at))


def _metric(crs: CRS, transform: Affine, shape: Shape) -> Float:
    """Return the squared length of a step across (E), their product (F), and down (G), (3, n, m).

    The first fundamental form of the grid: a step of dx, dy pixels is
    sqrt(E dx dx + 2 F dx dy + G dy dy) metres long.
    """
    # Degrees beyond a pole have no length.
    factor = 0.0 if crs.is_geographic else metres_per_unit(crs) ** 2
    a, b, _, d, e, _ = transform[:6]
    plane = factor * np.array([a * a + d * d, a * b + d * e, b * b + e * e])[:, None, None]
    try:
        metric = _geodesic_metric(Earth(crs, transform), shape)
    except PROJ_ERRORS:
        return plane
    # Beyond the edge of the Earth there is no other length than the map's.
    return np.where(np.isnan(metric).any(axis=0), plane, metric)


def _geodesic_metric(earth: Earth, shape: Shape) -> Float:
    """Return the metric at the nodes, NaN where a step of a pixel leaves the Earth."""
    rows, cols = min(shape[0], _NODES), min(shape[1], _NODES)
    x, y = np.meshgrid(
        (np.arange(cols) + 0.5) * shape[1] / cols, (np.arange(rows) + 0.5) * shape[0] / rows
    )

    def squared(dx: float, dy: float) -> Float:
        one = earth.at(x - dx / 2, y - dy / 2)
        two = earth.at(x + dx / 2, y + dy / 2)
        off = np.isnan(one[0]) | np.isnan(two[0])
        x0, y0, x1, y1 = (np.degrees(np.where(off, 0, part)) for part in (*one, *two))
        return np.where(off, np.nan, np.asarray(earth.geod.inv(x0, y0, x1, y1)[2]) ** 2)

    across, down, aslant = squared(1, 0), squared(0, 1), squared(1, 1)
    return np.stack([across, (aslant - across - down) / 2, down])
