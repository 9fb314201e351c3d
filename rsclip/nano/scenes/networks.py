"""Lines that cross the whole scene: rivers, roads, railways and street grids."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.classes import SAND
from rsclip.nano.scenes.draw_ground import draw_sand
from rsclip.nano.scenes.draw_roads import draw_cars_along, draw_railway, draw_road
from rsclip.nano.scenes.draw_trees import draw_forest
from rsclip.nano.scenes.draw_water import draw_water
from rsclip.nano.scenes.layout import Curve, Frame, Grid, make_curve
from rsclip.nano.scenes.noise import wave


def _offset(canvas: Canvas, spread: float) -> float:
    """A random distance from the scene's middle, in metres."""
    return float((canvas.rng.random() - 0.5) * spread * min(canvas.size))


def add_road(
    canvas: Canvas,
    half: float | None = None,
    frame: Frame | None = None,
    offset: float | None = None,
    bent: bool = True,
) -> None:
    """A through road, 7 to 14 m wide, with traffic; it goes over what is there."""
    rng = canvas.rng
    half = 3.5 + 3.5 * rng.random() if half is None else half
    frame = Frame.draw(canvas) if frame is None else frame
    swing = 22 * rng.random() if bent else 0.0
    off = _offset(canvas, 0.7) if offset is None else offset
    curve = make_curve(canvas, frame, off, swing, 190 + 160 * rng.random())
    patch = curve.patch(canvas, half, keep_locked=False)
    draw_road(canvas, patch, curve.along, curve.across, half)
    every = float(18 + 90 * rng.random())
    draw_cars_along(canvas, patch, curve.along, curve.across, half, every)
    canvas.lock(curve.patch(canvas, half + 0.5, keep_locked=False))


def add_railway(
    canvas: Canvas,
    half: float | None = None,
    frame: Frame | None = None,
    offset: float | None = None,
) -> None:
    """A railway corridor, 7 to 15 m wide unless given, on ballast."""
    rng = canvas.rng
    half = 3.5 + 4.0 * rng.random() if half is None else half
    frame = Frame.draw(canvas) if frame is None else frame
    off = _offset(canvas, 0.7) if offset is None else offset
    curve = make_curve(canvas, frame, off, 14 * rng.random(), 320.0)
    patch = curve.patch(canvas, half, keep_locked=False)
    draw_railway(canvas, patch, curve.along, curve.across, half)
    canvas.lock(curve.patch(canvas, half + 1.0, keep_locked=False))


def add_river(canvas: Canvas, half: float, banks: bool = True) -> None:
    """A meandering river about `half` metres to each side, with sand bars and wooded banks."""
    rng = canvas.rng
    length = 130 + 170 * rng.random()
    curve = make_curve(canvas, Frame.draw(canvas), _offset(canvas, 0.4), length / 7, length)
    uneven = canvas.cut(3, canvas.labels.shape) * np.float32(1.5)
    phase = np.float32(rng.random())
    width = np.float32(half) * (1 + np.float32(0.25) * wave(curve.along / 97 + phase)) + uneven
    shore = width - np.abs(curve.across)
    if banks and rng.random() < 0.7:
        belt = np.float32(4) + canvas.cut(4, canvas.labels.shape) * np.float32(9)
        draw_forest(canvas, curve.patch(canvas, np.maximum(width + belt, width)))
    if banks and rng.random() < 0.6:
        bar = wave(curve.along / np.float32(length) + phase) * np.sign(curve.across)
        beach = curve.patch(canvas, width + np.clip(bar * 14 - 3, 0, None))
        draw_sand(canvas, beach)
    water = curve.patch(canvas, width)
    draw_water(canvas, water, shore)
    sand = canvas.labels == SAND
    canvas.locked |= (shore > -1) | sand


def add_streets(canvas: Canvas, grid: Grid, half: float) -> None:
    """Streets along all edges of the grid's cells; no marks at the crossings."""
    edge = np.minimum(grid.edge_u, grid.edge_v)
    along_u = grid.edge_v < grid.edge_u
    along = np.where(along_u, grid.u, grid.v)
    rows, cols = canvas.labels.shape
    mask = (edge <= half) & ~canvas.locked
    wide, tall = canvas.size
    patch = Patch((slice(0, rows), slice(0, cols)), mask, grid.u, grid.v, wide / 2, tall / 2)
    crossing = np.maximum(grid.edge_u, grid.edge_v) <= half + 2.5
    # A street has one edge on either side; the sign only parts the two lanes.
    side = np.where(along_u, np.sign(wave(grid.v / 97)), np.sign(wave(grid.u / 97)))
    draw_road(canvas, patch, along, edge, half, crossing)
    draw_cars_along(
        canvas,
        patch.only(~crossing),
        along,
        edge * side,
        half,
        float(14 + 40 * canvas.rng.random()),
    )
    canvas.lock(patch)


def coast_line(canvas: Canvas) -> Curve:
    """A shoreline: `across` is metres inland, negative at sea; it keeps to the outer third."""
    rng = canvas.rng
    turned = Frame.draw(canvas)
    frame = Frame(turned.middle, turned.angle + np.pi * float(rng.integers(2)), 0.0, 1.0, (0, 0))
    curve = make_curve(
        canvas,
        frame,
        -(0.05 + 0.2 * rng.random()) * min(canvas.size),
        12 + 14 * rng.random(),
        240 + 120 * rng.random(),
    )
    uneven = canvas.cut(3, canvas.labels.shape) * np.float32(2.0)
    return Curve(curve.along, curve.across + uneven)
