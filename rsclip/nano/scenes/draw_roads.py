"""Roads, parking lots, railways and the vehicles on them."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Mask, Patch
from rsclip.nano.scenes.classes import PARKING, RAILWAY, ROAD
from rsclip.nano.scenes.noise import Field, saw
from rsclip.nano.scenes.palette import CARS, PAINT, jitter

_CARS = np.array(CARS, np.float32)


def _asphalt(canvas: Canvas, patch: Patch, label: int, pavement: bool) -> None:
    """Fine-grained sealed ground with worn and patched spots."""
    rng, shape = canvas.rng, patch.shape
    colour = canvas.palette.pavement if pavement else canvas.palette.asphalt
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.045) + canvas.cut(1, shape) * np.float32(0.03)
    shade += canvas.cut(3, shape) * np.float32(0.05)
    canvas.fill(patch, label, jitter(rng, colour, 0.08), shade)


def draw_road(
    canvas: Canvas,
    patch: Patch,
    along: Field,
    across: Field,
    half: float,
    plain: Mask | None = None,
) -> None:
    """Asphalt with pavements, edge lines, a broken middle line, and worn wheel paths.

    `along` and `across` (h, w) float32 metres; no marks where `plain` (h, w) is true.
    """
    rng = canvas.rng
    _asphalt(canvas, patch, ROAD, False)
    gap = half - np.abs(across)
    shown = patch if plain is None else patch.only(~plain)
    lane = np.abs(np.abs(across) - np.float32(half * 0.45))
    worn = np.clip(1 - np.abs(lane - np.float32(0.8)) * 1.6, 0, 1) * np.float32(0.10)
    canvas.blend(shown, canvas.palette.asphalt * np.float32(0.5), worn)
    curb = np.float32(1.4 if half > 4 else 0.7)
    if rng.random() < 0.65:
        walk = (gap < curb) * np.float32(0.55)
        canvas.blend(shown, jitter(rng, canvas.palette.asphalt + np.float32(0.12)), walk)
    line = np.float32(0.35 + 0.5 * rng.random())
    edge = np.clip(1 - np.abs(gap - curb - np.float32(0.3)) * 2.5, 0, 1) * line
    canvas.blend(shown, PAINT, edge)
    dash = saw(along / np.float32(9)) < np.float32(0.5)
    canvas.blend(shown, PAINT, np.clip(1.2 - np.abs(across) * 2.6, 0, 1) * dash * line)
    if half > 5:
        lanes = np.abs(np.abs(across) - np.float32((half - float(curb)) / 2))
        canvas.blend(shown, PAINT, np.clip(1.2 - lanes * 2.6, 0, 1) * dash * line)


def draw_cars_along(
    canvas: Canvas, patch: Patch, along: Field, across: Field, half: float, every: float
) -> None:
    """Vehicles in two lanes, one in about `every` metres of each lane; labels unchanged."""
    rng = canvas.rng
    table = rng.random((2, 64)).astype(np.float32)
    slot = np.floor(along / np.float32(12)).astype(np.int32)
    lane = (across > 0).astype(np.int32)
    key = (lane, slot & 63)
    present = table[key] < 12 / every
    place = (saw(along / np.float32(12)) - np.float32(0.5)) * 12 - (table[key] * 37 % 1 - 0.5) * 5
    length = np.float32(2.2) + (table[key] * 91 % 1 > 0.85) * np.float32(1.8)
    body = (np.abs(place) < length) & (np.abs(np.abs(across) - half * 0.35) < 1.0) & present
    paint_cars(canvas, patch.only(body), (table[key] * 53 % 1 * 8).astype(np.int32), place)


def paint_cars(canvas: Canvas, cars: Patch, colour: np.ndarray, place: Field) -> None:
    """Colour the cars' pixels; `colour` (h, w) int32 indexes CARS, `place` is metres along."""
    if not cars.mask.any():
        return
    glass = np.where(np.abs(np.abs(place) - np.float32(0.9)) < 0.35, np.float32(0.3), 1)
    where = cars.mask
    for band in range(4):
        canvas.refl[band][cars.window][where] = (_CARS[:, band][colour & 7] * glass)[where]
    canvas.height[cars.window][where] = 1.5


def draw_parking(canvas: Canvas, patch: Patch, plaza: bool = False) -> None:
    """Rows of painted bays on both sides of aisles, part of them taken; a plaza has slabs."""
    rng, shape = canvas.rng, patch.shape
    _asphalt(canvas, patch, PARKING, True)
    if plaza:
        size = np.float32(1.5 + 2.5 * rng.random())
        slabs = (saw(patch.u / size) < 0.5 / size) | (saw(patch.v / size) < 0.5 / size)
        tone = np.float32(0.6 if rng.random() < 0.5 else 1.5)
        colour = np.minimum(canvas.palette.pavement * tone, np.float32(0.9))
        canvas.blend(patch, colour, slabs * np.float32(0.35))
        return
    module = np.float32(16)  # bays 5 m, aisle 6 m, bays 5 m
    row = patch.v / module + np.float32(0.5)
    place = (saw(row) - np.float32(0.5)) * module
    depth = np.abs(place)  # 0 in the aisle's middle, 8 where bays meet back to back
    column = patch.u / np.float32(2.6)
    inside = (patch.half_u - np.abs(patch.u) > 2.5) & (patch.half_v - np.abs(patch.v) > 0.8)
    bay = patch.only((depth > 3) & inside)
    mark = (np.abs(saw(column + np.float32(0.5)) - np.float32(0.5)) < 0.09) | (depth > 7.75)
    canvas.blend(bay, PAINT, mark * np.float32(0.45 + 0.4 * rng.random()))
    table = rng.random((64, 64)).astype(np.float32)
    rows = 2 * np.floor(row).astype(np.int32) + (place > 0)
    draw = table[rows & 63, np.floor(column).astype(np.int32) & 63]
    taken = draw < np.float32(0.25 + 0.65 * rng.random())
    middle = np.abs(saw(column) - np.float32(0.5)) * np.float32(2.6)
    length = depth - np.float32(5.5)
    body = taken & (middle < 0.95) & (np.abs(length) < 2.2)
    paint_cars(canvas, bay.only(body), (draw * 97 % 1 * 8).astype(np.int32), length)
    if rng.random() < 0.5:  # arrows or oil stains in the aisle
        stain = np.clip(canvas.cut(2, shape) * 0.3 - 0.2, 0, 0.3) * (depth < 3)
        canvas.blend(patch, canvas.palette.pavement * np.float32(0.5), stain)


def draw_railway(canvas: Canvas, patch: Patch, along: Field, across: Field, half: float) -> None:
    """Ballast with pairs of rails on sleepers, tracks 4.6 m apart, and perhaps a train."""
    rng, shape, palette = canvas.rng, patch.shape, canvas.palette
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.10) + canvas.cut(2, shape) * np.float32(0.06)
    canvas.fill(patch, RAILWAY, jitter(rng, palette.ballast, 0.1), shade)
    tracks = max(1, int((2 * half - 1.0) / 4.6))
    offset = np.float32(0 if tracks % 2 else 2.3)
    number = np.floor((across + offset) / np.float32(4.6) + np.float32(0.5))
    place = across + offset - number * np.float32(4.6)
    used = (np.abs(across) < tracks * 2.3) & patch.mask
    bed = patch.only(used)
    dark = rng.random() < 0.6
    timber = palette.ballast * np.float32(0.45 if dark else 1.6)
    sleepers = (saw(along / np.float32(1.5)) < 0.45) & (np.abs(place) < 1.35)
    canvas.blend(bed, np.minimum(timber, np.float32(0.8)), sleepers * np.float32(0.55))
    rail = np.clip(1 - np.abs(np.abs(place) - np.float32(0.8)) * 2.6, 0, 1)
    steel = np.float32(0.07 if rng.random() < 0.5 else 0.62)
    canvas.blend(bed, np.full(4, steel, np.float32), rail * np.float32(0.8))
    if rng.random() < 0.45:
        lane = float(rng.integers(0, tracks)) - (tracks - 1) // 2
        start = float(rng.normal() * 70)
        span = np.abs(along - np.float32(start)) < 35 + 50 * rng.random()
        train = (number == lane) & (np.abs(place) < 1.5) & span
        train &= saw(along / np.float32(20)) > 0.04
        colour = jitter(rng, _CARS[rng.integers(8)])
        body = bed.only(train)
        ribs = 1 - 0.2 * (saw(along / np.float32(3.2)) < 0.2) - 0.25 * (np.abs(place) > 1.1)
        canvas.fill(body, RAILWAY, colour, ribs.astype(np.float32))
        canvas.raise_to(body, 3.8)
