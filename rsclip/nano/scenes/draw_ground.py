"""Open ground: grassland, cropland, bare soil and sand."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.classes import BARE_SOIL, CROPLAND, GRASSLAND, SAND
from rsclip.nano.scenes.noise import saw, wave
from rsclip.nano.scenes.palette import CROPS, jitter, pick


def draw_grassland(canvas: Canvas, patch: Patch) -> None:
    """Mottled turf of low contrast with drier spots and now and then a trodden path."""
    rng, shape = canvas.rng, patch.shape
    mottle = canvas.cut(1, shape) * 0.05 + canvas.cut(2, shape) * 0.07 + canvas.cut(3, shape) * 0.05
    shade = 1 + mottle + canvas.cut(-1, shape) * np.float32(0.03 + 0.04 * rng.random())
    canvas.fill(patch, GRASSLAND, jitter(rng, canvas.palette.grass, 0.1), shade)
    dry = np.clip(canvas.cut(3, shape) * 0.5 + canvas.cut(1, shape) * 0.15 - 0.2, 0, 0.8)
    canvas.blend(patch, jitter(rng, canvas.palette.grass_dry), dry)
    if rng.random() < 0.3:
        where = patch.v + canvas.cut(3, shape) * 3 - np.float32(rng.normal() * patch.half_v / 2)
        path = np.clip(1.3 - np.abs(where), 0, 1) * 0.6
        canvas.blend(patch, canvas.palette.soil, path)


def draw_base(canvas: Canvas) -> None:
    """Grass or, at times, bare soil over the whole canvas."""
    if canvas.rng.random() < 0.7:
        draw_grassland(canvas, canvas.whole())
    else:
        draw_bare_soil(canvas, canvas.whole())
        canvas.height[:] = 0


def draw_cropland(canvas: Canvas, patch: Patch) -> None:
    """Parallel rows of plants or furrows, wheel tracks, and headlands across the ends."""
    rng, shape = canvas.rng, patch.shape
    u, v = (patch.u, patch.v) if rng.random() < 0.6 else (patch.v, patch.u)
    end = patch.half_u if u is patch.u else patch.half_v
    soil = jitter(rng, canvas.palette.soil, 0.2)
    if rng.random() < 0.7:
        crop = jitter(rng, canvas.palette.crops[rng.integers(4)], 0.2)
    else:
        crop = pick(rng, CROPS)
    period = np.float32(1.5 + 3.0 * rng.random() ** 2)
    cover = np.float32(0.3 + 0.7 * rng.random())
    if rng.random() < 0.25:  # ploughed: furrows of soil only
        crop, cover = jitter(rng, soil * np.float32(0.75), 0.1), np.float32(0.5)
    headland = end > 22 and rng.random() < 0.6
    across = v
    if headland:
        across = np.where(np.abs(u) > end - np.float32(7), u, v)
    rows = wave(across / period + canvas.cut(2, shape) * np.float32(0.04))
    patchy = canvas.cut(2, shape) * 0.10 + canvas.cut(3, shape) * 0.14
    plants = np.clip(rows * 0.55 + cover + patchy, 0, 1)
    strength = np.float32(0.05 + 0.09 * rng.random())
    shade = 1 + strength * rows + canvas.cut(-1, shape) * 0.06 + canvas.cut(3, shape) * 0.06
    canvas.fill(patch, CROPLAND, soil, shade)
    canvas.blend(patch, crop, plants * (1 + canvas.cut(0, shape) * np.float32(0.08)))
    gap = np.float32(9 + 12 * rng.random())
    wheel = np.abs(np.abs(saw(across / gap) - 0.5) * gap - np.float32(0.9)) < 0.3
    canvas.blend(patch, jitter(rng, soil * np.float32(0.8)), wheel * np.float32(0.55))


def draw_bare_soil(canvas: Canvas, patch: Patch) -> None:
    """Clods, rills and crossing vehicle tracks, damp spots and spoil heaps."""
    rng, shape = canvas.rng, patch.shape
    rough = np.float32(0.08 + 0.1 * rng.random())
    clods = canvas.cut(0, shape) * rough + canvas.cut(-1, shape) * np.float32(0.07)
    broad = canvas.cut(2, shape) * 0.09 + canvas.cut(3, shape) * 0.10
    canvas.fill(patch, BARE_SOIL, jitter(rng, canvas.palette.soil, 0.25), 1 + clods + broad)
    damp = np.clip(canvas.cut(3, shape) * 0.6 + canvas.cut(2, shape) * 0.4 - 0.7, 0, 0.6)
    canvas.blend(patch, jitter(rng, canvas.palette.soil * np.float32(0.55)), damp)
    light = jitter(rng, np.minimum(canvas.palette.soil * np.float32(1.45), 0.8))
    for _ in range(int(rng.integers(2, 6))):
        angle = np.pi * rng.random()
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        where = patch.v * cos - patch.u * sin + canvas.cut(4, shape) * 12 + canvas.cut(3, shape) * 3
        where = where - np.float32((rng.random() - 0.5) * (patch.half_u + patch.half_v))
        track = np.clip(1.0 - np.abs(np.abs(where) - np.float32(0.95)) * 2, 0, 1) * 0.55
        canvas.blend(patch, light, track)
    heap = np.clip(canvas.cut(3, shape) - 1.2, 0, 2) * np.float32(2.0)
    canvas.raise_to(patch, np.minimum(heap, 3))


def draw_sand(canvas: Canvas, patch: Patch) -> None:
    """Bright sand with wind ripples and, at random, the lee slopes of dunes."""
    rng, shape = canvas.rng, patch.shape
    angle = canvas.palette.wind_angle + 0.3 * rng.random()
    along = canvas.axes(patch, angle)[0] + canvas.cut(2, shape) * np.float32(0.9)
    along = along + canvas.cut(3, shape) * np.float32(2.0)
    period = np.float32(2.4 + 3.0 * rng.random())
    strength = np.float32(0.05 + 0.05 * rng.random())
    shade = 1 + strength * wave(along / period) * (0.7 + 0.4 * canvas.cut(3, shape))
    shade += canvas.cut(-1, shape) * np.float32(0.015) + canvas.cut(4, shape) * np.float32(0.05)
    if rng.random() < 0.4:
        dune = saw((along + canvas.cut(4, shape) * 6) / np.float32(16 + 22 * rng.random()))
        shade += np.float32(0.22) * (dune * dune - np.float32(0.4))
    canvas.fill(patch, SAND, jitter(rng, canvas.palette.sand, 0.12), shade)
