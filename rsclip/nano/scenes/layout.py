"""Where things go: turned and bent frames, grids of cells, and curves across the scene."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.noise import Array, Field, wave


@dataclass(frozen=True)
class Frame:
    """A frame turned by `angle` about the scene's middle and bent by `bend` metres.

    The bend is two sine waves of length `length` metres, one across each axis; it must stay
    small against the length (bend < length / 7) so that `world` finds its way back.
    """

    middle: tuple[float, float]
    angle: float
    bend: float
    length: float
    phase: tuple[float, float]

    @classmethod
    def draw(cls, canvas: Canvas, bend: float = 0.0, length: float = 260.0) -> "Frame":
        """A frame of random angle for the canvas."""
        rng = canvas.rng
        wide, tall = canvas.size
        return cls(
            (wide / 2, tall / 2),
            float(np.pi * rng.random()),
            bend,
            length,
            (float(rng.random()), float(rng.random())),
        )

    def local(self, canvas: Canvas) -> tuple[Array, Array]:
        """The frame's u and v, (H, W) float32 metres, of every pixel."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        dx = canvas.x - np.float32(self.middle[0])
        dy = canvas.y - np.float32(self.middle[1])
        u = dx * cos + dy * sin
        v = dy * cos - dx * sin
        if not self.bend:
            return u, v
        scale, bend = np.float32(1 / self.length), np.float32(self.bend)
        return (
            u + bend * wave(v * scale + np.float32(self.phase[0])),
            v + bend * wave(u * scale + np.float32(self.phase[1])),
        )

    def world(self, u: float, v: float) -> tuple[float, float, float]:
        """The place (x, y) in metres of frame point (u, v), and the direction of u there."""
        straight_u, straight_v = u, v
        for _ in range(8 if self.bend else 0):
            straight_u, straight_v = (
                u - self.bend * float(wave(straight_v / self.length + self.phase[0])),
                v - self.bend * float(wave(straight_u / self.length + self.phase[1])),
            )
        slope = -self.bend * 2 * np.pi / self.length
        slope *= float(wave(straight_u / self.length + self.phase[1] + 0.25))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (
            float(self.middle[0] + straight_u * cos - straight_v * sin),
            float(self.middle[1] + straight_u * sin + straight_v * cos),
            float(self.angle + np.arctan(slope)),
        )


@dataclass(frozen=True)
class Grid:
    """A grid of cells in rows, like bricks.

    `ids` (H, W) int32 from 1; `edge_u`, `edge_v` (H, W) float32 metres to the nearest cell
    edge along each axis; `bounds` (cells, 4) float64: first u, last u, first v, last v.
    """

    frame: Frame
    u: Array
    v: Array
    ids: npt.NDArray[np.int32]
    edge_u: Array
    edge_v: Array
    bounds: npt.NDArray[np.float64]

    def patches(self, margin: float) -> list[tuple[int, Patch]]:
        """Every cell's number and its pixels more than `margin` metres inside its edges."""
        inner = np.minimum(self.edge_u, self.edge_v) > margin
        found: list[tuple[int, Patch]] = []
        for index, window in enumerate(ndimage.find_objects(np.where(inner, self.ids, 0))):
            if window is None:
                continue
            u0, u1, v0, v1 = self.bounds[index]
            mask = inner[window] & (self.ids[window] == index + 1)
            u = self.u[window] - np.float32((u0 + u1) / 2)
            v = self.v[window] - np.float32((v0 + v1) / 2)
            half_u, half_v = (u1 - u0) / 2 - margin, (v1 - v0) / 2 - margin
            found.append((index, Patch((window[0], window[1]), mask, u, v, half_u, half_v)))
        return found

    def middle(self, index: int) -> tuple[float, float]:
        """The frame coordinates of a cell's middle."""
        u0, u1, v0, v1 = self.bounds[index]
        return float(u0 + u1) / 2, float(v0 + v1) / 2


def _cuts(
    rng: np.random.Generator, low: float, high: float, step: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Rising positions float64 from below `low` to above `high`, steps drawn from a range."""
    count = int((high - low) / step[0]) + 3
    steps = step[0] + (step[1] - step[0]) * rng.random(count)
    places = low - rng.random() * step[0] + np.concatenate(([0.0], np.cumsum(steps)))
    keep = int(np.searchsorted(places, high)) + 1
    kept: npt.NDArray[np.float64] = places[:keep]
    return kept


def make_grid(
    canvas: Canvas, frame: Frame, wide: tuple[float, float], tall: tuple[float, float]
) -> Grid:
    """Cells `wide` (u) by `tall` (v) metres, least and most; each row has its own columns."""
    rng = canvas.rng
    u, v = frame.local(canvas)
    low_u, high_u = float(u.min()), float(u.max())
    row_cuts = _cuts(rng, float(v.min()), float(v.max()) + 1, tall)
    # Rows are laid end to end on one axis, so that one search finds row and column together.
    span = (high_u - low_u) + 4 * wide[1]
    bounds: list[tuple[float, float, float, float]] = []
    keys: list[npt.NDArray[np.float64]] = []
    for number in range(len(row_cuts) - 1):
        cuts = _cuts(rng, low_u, high_u + 1, wide)
        keys.append(cuts[:-1] - low_u + wide[1] + number * span)
        bounds += [
            (float(a), float(b), float(row_cuts[number]), float(row_cuts[number + 1]))
            for a, b in pairwise(cuts)
        ]
    row = np.searchsorted(row_cuts.astype(np.float32), v, side="right") - 1
    row = np.clip(row, 0, len(row_cuts) - 2)
    key = (u - np.float32(low_u - wide[1])) + row.astype(np.float32) * np.float32(span)
    starts = np.concatenate(keys).astype(np.float32)
    ids = np.clip(np.searchsorted(starts, key, side="right") - 1, 0, len(bounds) - 1)
    table = np.array(bounds)
    edges = table.astype(np.float32)
    edge_u = np.minimum(u - edges[ids, 0], edges[ids, 1] - u)
    edge_v = np.minimum(v - edges[ids, 2], edges[ids, 3] - v)
    return Grid(frame, u, v, (ids + 1).astype(np.int32), edge_u, edge_v, table)


@dataclass(frozen=True)
class Curve:
    """A line across the scene: per pixel (H, W) float32 metres along it and across it."""

    along: Array
    across: Array

    def patch(self, canvas: Canvas, half: float | Field, keep_locked: bool = True) -> Patch:
        """The pixels within `half` metres of the line (a number or a field)."""
        mask = np.abs(self.across) <= half
        if keep_locked:
            mask &= ~canvas.locked
        rows, cols = mask.shape
        width = float(np.max(half))
        window = (slice(0, rows), slice(0, cols))
        return Patch(window, mask, self.along, self.across, float(max(canvas.size)), width)


def make_curve(
    canvas: Canvas,
    frame: Frame,
    offset: float,
    amplitude: float,
    length: float,
) -> Curve:
    """A curve along the frame's u, `offset` metres off its axis, swinging by `amplitude`."""
    rng = canvas.rng
    u, v = frame.local(canvas)
    phase, other = np.float32(rng.random()), np.float32(rng.random())
    major = np.float32(1 / length)
    minor = np.float32(2.3 / length)
    swing = np.float32(amplitude)
    line = swing * (wave(u * major + phase) + np.float32(0.35) * wave(u * minor + other))
    quarter = np.float32(0.25)
    slope = (
        swing
        * np.float32(2 * np.pi)
        * (
            major * wave(u * major + phase + quarter)
            + np.float32(0.35) * minor * wave(u * minor + other + quarter)
        )
    )
    across = (v - np.float32(offset) - line) / np.sqrt(1 + slope * slope)
    return Curve(u, across)
