"""Open water and swimming pools."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Mask, Patch
from rsclip.nano.scenes.classes import PARKING, POOL, WATER
from rsclip.nano.scenes.noise import Field, saw, wave
from rsclip.nano.scenes.palette import PAINT, POOLS, Colour, jitter, pick

SKY: Colour = np.array((0.62, 0.70, 0.78, 0.55), np.float32)


def draw_water(canvas: Canvas, patch: Patch, shore: Field | None = None) -> None:
    """Waves driven by the scene's wind, glint, and a lighter rim of 6 m along the shore.

    `shore` (h, w) float32 is the distance to the bank in metres, where it is known.
    """
    rng, shape, palette = canvas.rng, patch.shape, canvas.palette
    wind = np.float32(0.05 + 0.22 * palette.wind)
    fetch, side = canvas.axes(patch, palette.wind_angle)
    bent = fetch + canvas.cut(2, shape) * np.float32(1.1)
    long = wave(bent / np.float32(6.5) + canvas.cut(3, shape) * np.float32(0.25))
    short = wave((bent + np.float32(0.35) * side) / np.float32(2.7))
    gusts = np.clip(0.7 + 0.5 * canvas.cut(4, shape), 0.1, 1.6)
    swell = (long * np.float32(0.6) + short * np.float32(0.4)) * gusts
    shade = 1 + wind * swell + canvas.cut(3, shape) * np.float32(0.04)
    shade += canvas.cut(0, shape) * (wind * np.float32(0.35))
    canvas.fill(patch, WATER, palette.water, shade)
    if shore is not None:
        rim = np.clip(1 - (shore + canvas.cut(2, shape)) / np.float32(6), 0, 1) * 0.7
        canvas.blend(patch, palette.shallow, rim)
    sparkle = swell + canvas.cut(-1, shape) * np.float32(0.45)
    level = np.float32(1.9 - 0.8 * rng.random() - 0.5 * palette.wind)
    canvas.blend(patch, SKY, np.clip((sparkle - level) * 0.7, 0, 0.5))


def draw_pond(canvas: Canvas, patch: Patch) -> None:
    """A round or square-cornered pond in the patch; the ground around it stays."""
    if canvas.rng.random() < 0.5:
        reach = np.sqrt(
            (patch.u / np.float32(patch.half_u)) ** 2 + (patch.v / np.float32(patch.half_v)) ** 2
        )
        gap = (1 - reach) * np.float32(patch.half_v)
    else:
        gap = np.minimum(patch.half_u - np.abs(patch.u), patch.half_v - np.abs(patch.v)) - 2
    gap = gap + np.clip(canvas.cut(3, patch.shape) * 2 - 1, -5, 1)
    draw_water(canvas, patch.only(gap > 0), gap)


def _paint_pool(canvas: Canvas, patch: Patch, inside: Mask, depth: Field, lanes: bool) -> None:
    """A pool in the pixels `inside` (h, w); `depth` 0..1 darkens it."""
    rng, shape = canvas.rng, patch.shape
    colour = canvas.palette.pool if rng.random() < 0.6 else pick(rng, POOLS)
    ripple = canvas.cut(0, shape) * np.float32(0.05) + canvas.cut(1, shape) * np.float32(0.04)
    pool = patch.only(inside)
    canvas.fill(pool, POOL, jitter(rng, colour, 0.1), 1.08 - depth * 0.38 + ripple)
    if lanes:
        across = saw(patch.v / np.float32(2.5))
        dark = (np.abs(across - np.float32(0.5)) < 0.1) * np.float32(0.45)
        canvas.blend(pool.inset(1.0), jitter(rng, colour * np.float32(0.4)), dark)
        rope = (across < 0.14) & (saw(patch.u / np.float32(2.0)) < 0.6)
        canvas.blend(pool.inset(0.5), PAINT, rope * np.float32(0.6))


def draw_pool(
    canvas: Canvas,
    cx: float,
    cy: float,
    angle: float,
    half_u: float,
    half_v: float,
    round_shape: bool = False,
    deck: float = 2.0,
) -> bool:
    """A pool with a paved deck around it; false where there was no room."""
    rng = canvas.rng
    patch = canvas.rect(cx, cy, angle, half_u + deck, half_v + deck)
    if patch is None or not canvas.free(patch):
        return False
    if round_shape:
        lobe = np.float32(0.25 * half_u)
        bent = patch.v + lobe * wave(patch.u / np.float32(3.2 * half_u) + np.float32(rng.random()))
        reach = np.sqrt((patch.u / np.float32(half_u)) ** 2 + (bent / np.float32(half_v)) ** 2)
        gap = (1 - reach) * np.float32(half_v)
    else:
        gap = np.minimum(half_u - np.abs(patch.u), half_v - np.abs(patch.v))
    slabs = (saw(patch.u) < 0.3) | (saw(patch.v) < 0.3)
    shade = 1 + canvas.cut(-1, patch.shape) * np.float32(0.03) - slabs * np.float32(0.07)
    apron = patch.only(gap > -deck)
    stone = jitter(rng, np.maximum(canvas.palette.pavement, np.float32(0.35)), 0.2)
    canvas.fill(apron, PARKING, stone, shade)
    depth = np.clip(gap / np.float32(half_v), 0, 1)
    if rng.random() < 0.5:
        depth = np.clip(patch.u / np.float32(2 * half_u) + np.float32(0.5), 0, 1)
    _paint_pool(canvas, patch, gap > 0, depth, not round_shape and half_v > 4.5)
    canvas.blend(patch.only((gap > 0) & (gap < 0.5)), PAINT, np.full(patch.shape, 0.55, np.float32))
    canvas.lock(apron)
    _loungers(canvas, patch, (gap < -0.6) & (gap > -deck + 0.2))
    return True


def _loungers(canvas: Canvas, patch: Patch, where: Mask) -> None:
    """Deck chairs: short light marks on the deck."""
    marks = (saw(patch.u / np.float32(2.2)) < 0.3) & (saw(patch.v / np.float32(2.2)) < 0.6)
    marks &= canvas.cut(2, patch.shape) > 0.3
    canvas.blend(patch.only(where & marks), PAINT, np.full(patch.shape, 0.7, np.float32))
