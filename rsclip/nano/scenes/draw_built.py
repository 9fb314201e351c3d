"""Buildings, greenhouses and solar panels."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.classes import BUILDING, GREENHOUSE, SOLAR
from rsclip.nano.scenes.noise import Array, Field, saw
from rsclip.nano.scenes.palette import GLASSES, PAINT, PANELS, ROOFS, Colour, jitter, pick


def _light(canvas: Canvas, angle: float, side: Field, pitch: float) -> Array:
    """Brightness of roof faces that fall towards `angle` where `side` is 1, back where -1."""
    sun = canvas.palette.sun
    facing = np.float32(np.cos(angle) * sun[0] + np.sin(angle) * sun[1])
    tilt, flat = np.float32(np.sin(pitch)), np.float32(np.cos(pitch))
    lit = (side * facing * tilt + flat * np.float32(sun[2])) / np.float32(sun[2])
    clipped: Array = np.clip(lit, 0.35, 1.5).astype(np.float32)
    return clipped


def _roof_colour(canvas: Canvas) -> Colour:
    rng = canvas.rng
    if rng.random() < 0.75:
        return jitter(rng, canvas.palette.roofs[rng.integers(len(canvas.palette.roofs))], 0.15)
    return pick(rng, ROOFS)


def draw_ridged(
    canvas: Canvas, patch: Patch, angle: float, eaves: float, colour: Colour | None = None
) -> None:
    """A gabled or hipped roof with its ridge along u, tile courses, and chimneys."""
    rng = canvas.rng
    tone = _roof_colour(canvas) if colour is None else colour
    pitch = 0.35 + 0.4 * rng.random()
    to_side = np.float32(patch.half_v) - np.abs(patch.v)
    to_end = np.float32(patch.half_u) - np.abs(patch.u)
    sides = _light(canvas, angle + np.pi / 2, np.sign(patch.v), pitch)
    lit, rise = sides, to_side
    if rng.random() < 0.5:
        ends = _light(canvas, angle, np.sign(patch.u), pitch)
        lit = np.where(to_end < to_side, ends, sides)
        rise = np.minimum(to_side, to_end)
    courses = (saw(rise / np.float32(1.1)) < 0.4) * np.float32(0.07)
    shade = lit * (1 + canvas.cut(-1, patch.shape) * np.float32(0.03) - courses)
    shade += canvas.cut(1, patch.shape) * np.float32(0.03)
    canvas.fill(patch, BUILDING, tone, shade)
    ridge = np.clip(1 - np.abs(patch.v) * 2, 0, 1) * np.float32(0.35)
    canvas.blend(patch, np.minimum(tone * np.float32(1.4), np.float32(0.9)), ridge)
    canvas.raise_to(patch, np.float32(eaves) + rise * np.float32(np.tan(pitch)))
    if rng.random() < 0.5:
        spot = np.abs(patch.u - np.float32((rng.random() - 0.5) * patch.half_u)) < 0.6
        spot &= np.abs(patch.v - np.float32(0.3 * patch.half_v)) < 0.6
        chimney = patch.only(spot)
        canvas.blend(
            chimney,
            jitter(rng, canvas.palette.roofs[0] * np.float32(0.6)),
            np.ones(patch.shape, np.float32),
        )
        canvas.raise_to(chimney, eaves + patch.half_v + 1)


def draw_flat(canvas: Canvas, patch: Patch, height: float, panels: bool = False) -> None:
    """A flat roof with parapet, seams, skylights and plant boxes; panels cover it if asked."""
    rng, shape = canvas.rng, patch.shape
    tone = _roof_colour(canvas)
    if rng.random() < 0.4:
        grey = np.float32(0.12 + 0.6 * rng.random())
        tone = jitter(rng, np.full(4, grey, np.float32), 0.1)
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.03) + canvas.cut(3, shape) * np.float32(0.05)
    style = rng.random()
    if style < 0.4:
        seam = np.float32(2.0 + 2.5 * rng.random())
        shade -= (saw(patch.u / seam) < 0.2) * np.float32(0.10)
    elif style < 0.7 and patch.half_v > 8:  # shed roofs: a saw of lit and dark strips
        shade += (saw(patch.u / np.float32(6)) - np.float32(0.5)) * np.float32(0.35)
    canvas.fill(patch, BUILDING, tone, shade)
    gap = np.minimum(patch.half_u - np.abs(patch.u), patch.half_v - np.abs(patch.v))
    rim = np.minimum(tone * np.float32(1.5 if rng.random() < 0.6 else 0.5), np.float32(0.9))
    canvas.blend(patch, rim, (gap < 0.7) * np.float32(0.6))
    canvas.raise_to(patch, height)
    if panels:
        draw_panels(canvas, patch.inset(1.5), height + 0.3, tables=False)
        return
    if rng.random() < 0.6:
        sky = (saw(patch.u / np.float32(5)) < 0.25) & (saw(patch.v / np.float32(8)) < 0.35)
        glass = jitter(rng, np.full(4, 0.15 if rng.random() < 0.5 else 0.7, np.float32))
        canvas.blend(patch, glass, (sky & (gap > 1.5)) * np.float32(0.75))
    for _ in range(int(rng.integers(0, 4))):
        u = (rng.random() - 0.5) * 1.4 * patch.half_u
        v = (rng.random() - 0.5) * 1.4 * patch.half_v
        size = 1.0 + 1.5 * rng.random()
        box = patch.only(
            (np.abs(patch.u - np.float32(u)) < size)
            & (np.abs(patch.v - np.float32(v)) < size)
            & (gap > 0.8)
        )
        canvas.blend(
            box, jitter(rng, np.full(4, 0.5, np.float32), 0.3), np.full(shape, 0.9, np.float32)
        )
        canvas.raise_to(box, height + 2)


def draw_round(canvas: Canvas, patch: Patch, height: float) -> None:
    """A round tank or silo with a conical lid."""
    reach = np.sqrt(patch.u * patch.u + patch.v * patch.v)
    lid = patch.only(reach <= patch.half_u)
    sun = canvas.palette.sun
    slope = (patch.u * np.float32(sun[0]) + patch.v * np.float32(sun[1])) / (reach + 0.1)
    rings = (saw(reach / np.float32(2.5)) < 0.25) * np.float32(0.12)
    canvas.fill(lid, BUILDING, _roof_colour(canvas), 1 + slope * np.float32(0.35) - rings)
    canvas.raise_to(lid, height)


def draw_panels(canvas: Canvas, patch: Patch, height: float, tables: bool = True) -> None:
    """Rows of modules: dark cells, thin frame lines, and narrow dark gaps between the tables.

    The gaps inside an array (under 2.5 m) belong to it and keep the label.
    """
    rng, shape, palette = canvas.rng, patch.shape, canvas.palette
    tone = palette.panel if rng.random() < 0.7 else pick(rng, PANELS)
    depth = np.float32(3.0 + 2.5 * rng.random())
    pitch = depth + np.float32((0.8 + 1.5 * rng.random()) if tables else 0.5)
    row = saw(patch.v / pitch) * pitch
    module = np.float32(1.5 + 1.0 * rng.random())
    shade = 1 + canvas.cut(2, shape) * np.float32(0.04) + canvas.cut(-1, shape) * np.float32(0.02)
    shade += (row / depth - np.float32(0.5)) * np.float32(0.22 * (rng.random() - 0.5))
    canvas.fill(patch, SOLAR, jitter(rng, tone, 0.08), shade)
    frame = (saw(patch.u / module) < 0.5 / module) * np.float32(0.30 + 0.25 * rng.random())
    half = np.abs(row - depth / 2) < 0.3
    canvas.blend(patch, np.full(4, 0.45, np.float32), np.maximum(frame, half * np.float32(0.25)))
    edge = (row < 0.5) | (np.abs(row - depth) < 0.35)
    canvas.blend(patch, np.full(4, 0.5, np.float32), edge * np.float32(0.35))
    ground = palette.grass if rng.random() < 0.6 and tables else palette.soil
    canvas.blend(patch, ground * np.float32(0.55), (row > depth) * np.float32(0.9))
    table = patch.only(row <= depth)
    canvas.raise_to(table, height)


def draw_greenhouse(canvas: Canvas, patch: Patch) -> None:
    """Parallel glazed spans with lit and dark slopes, gutters, glazing bars and whitewash."""
    rng, shape = canvas.rng, patch.shape
    tone = jitter(rng, canvas.palette.glass if rng.random() < 0.6 else pick(rng, GLASSES), 0.15)
    span = np.float32(3.2 + 4.0 * rng.random())
    place = saw(patch.v / span)
    rise = np.float32(0.5) - np.abs(place - np.float32(0.5))
    contrast = np.float32(0.12 + 0.2 * rng.random())
    slope = np.where(place < 0.5, contrast, -contrast)
    shade = 1 + slope + canvas.cut(2, shape) * np.float32(0.05)
    shade += canvas.cut(-1, shape) * np.float32(0.02)
    # Every span has its own brightness: whitewash, screens and dirt differ.
    table = (rng.standard_normal(64) * 0.10).astype(np.float32)
    shade += table[np.floor(patch.v / span).astype(np.int32) & 63]
    canvas.fill(patch, GREENHOUSE, tone, shade)
    crops = jitter(rng, canvas.palette.crops[0])
    seen = np.clip(canvas.cut(3, shape) * 0.3 + np.float32(0.3 * rng.random()), 0, 0.45)
    canvas.blend(patch, crops, seen)
    gutter = (place < 0.5 / span).astype(np.float32)
    dark = np.full(4, 0.18 if rng.random() < 0.6 else 0.85, np.float32)
    canvas.blend(patch, dark, gutter * np.float32(0.6))
    bars = saw(patch.u / np.float32(3.0 + 2.0 * rng.random())) < 0.14
    canvas.blend(patch, PAINT, bars * np.float32(0.22))
    glint = (rng.random(64) < 0.08).astype(np.float32)[
        np.floor(patch.v / span * 2).astype(np.int32) & 63
    ]
    canvas.blend(patch, np.full(4, 0.95, np.float32), glint * np.float32(0.5))
    canvas.raise_to(patch, np.float32(3.5) + rise * np.float32(2))
