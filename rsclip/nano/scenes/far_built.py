"""Towns and works as they look at 2 to 30 m a pixel; see `far_ground`."""

import numpy as np
import numpy.typing as npt

from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas, Mask
from rsclip.nano.scenes.classes import (
    BARE_SOIL,
    BUILDING,
    GRASSLAND,
    PARKING,
    ROAD,
)
from rsclip.nano.scenes.far_ground import UNKNOWN, forest, meadow, share, whole
from rsclip.nano.scenes.far_parcels import parcels
from rsclip.nano.scenes.layout import Frame, make_grid
from rsclip.nano.scenes.noise import saw, wave
from rsclip.nano.scenes.tones import tone, tones


def town(canvas: Canvas, mask: Mask, metres: float, green: float, loose: bool) -> None:
    """Streets and roofs: seen one by one at 2 m, as speckle from about 5 m on.

    `green` is the share of gardens; a loose town has no straight streets.
    """
    rng, shape = canvas.rng, whole(canvas)
    bend = (12.0 if loose else 4.0) / metres * rng.random()
    size = (50 + 60 * rng.random()) / metres
    grid = make_grid(
        canvas,
        Frame.draw(canvas, bend, 300.0 / metres + 60),
        (max(3.0, 0.9 * size), max(4.0, 2.2 * size)),
        (max(3.0, 0.7 * size), max(3.5, 1.1 * size)),
    )
    u, v = grid.u, grid.v
    if loose:
        u = u + canvas.cut(2, shape) * np.float32(8 / metres)
        v = v + canvas.cut(2, shape) * np.float32(8 / metres)
    roof = np.float32(max(1.0, (7 + 8 * rng.random()) / metres))
    # A cheap hash of the roof's place: the same for all pixels of a roof.
    place = np.floor(u / roof).astype(np.int32) * 7919 + np.floor(v / (roof * 1.2)).astype(np.int32)
    place = (place * 31 + grid.ids * 17) & 1023
    has = rng.random(1024) > green * 0.9
    colours = tones(rng, t.TOWN_ROOFS, 5)[rng.integers(5, size=1024)]
    colours *= 1 + np.float32(0.2) * rng.standard_normal((1024, 1), np.float32)
    yard = tone(rng, t.MEADOWS if rng.random() < 0.7 else t.DIRT)
    trees = tone(rng, t.FORESTS)
    colours[~has] = yard
    shaded = canvas.cut(0, shape)
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.08)
    built = has[place]
    if roof > 2.5:  # a roof fills part of its lot, and its shadow some of the rest
        built &= (saw(u / roof) < 0.72) & (saw(v / (roof * 1.2)) < 0.72)
        step = (round(-canvas.palette.sun[1] * 1.4), round(-canvas.palette.sun[0] * 1.4))
        shade = shade * np.where(np.roll(built, step, (0, 1)) & ~built, np.float32(0.5), 1)
    for band in range(4):
        shown = np.where(built, colours[place, band], yard[band])
        np.copyto(canvas.refl[band], np.clip(shown, 0.02, 0.8) * shade, where=mask)
    crown = np.clip(shaded - np.float32(1.3 - 1.5 * green), 0, 1) * mask
    canvas.blend(canvas.whole(), trees, crown)
    half = np.float32((2 + 2.5 * rng.random()) / metres)
    edge = np.minimum(grid.edge_u, grid.edge_v)
    street = np.clip(half - edge + np.float32(0.5), 0, 1) * mask
    canvas.blend(canvas.whole(), tone(rng, t.PAVINGS), street * np.float32(0.85))
    if metres < 5:
        canvas.labels[mask] = np.where(built, BUILDING, UNKNOWN)[mask]
        canvas.labels[(street > 0.6) & mask] = ROAD
    else:
        canvas.labels[mask] = BUILDING
    _parks(canvas, grid.ids, mask, metres, green)


def _parks(
    canvas: Canvas, ids: npt.NDArray[np.int32], mask: Mask, metres: float, green: float
) -> None:
    """Some blocks of a town are green."""
    chosen = canvas.rng.random(int(ids.max()) + 1) < 0.12 * green
    park = chosen[ids] & mask
    if park.any():
        meadow(canvas, park, metres)
        forest(canvas, park & share(canvas.cut(2, whole(canvas)), 0.4), metres)


def works(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Large roofs, yards and car parks in blocks."""
    rng, shape = canvas.rng, whole(canvas)
    size = max(4.0, (90 + 90 * rng.random()) / metres)
    bend = min(20.0, 60 / metres * rng.random())
    lots = parcels(canvas, size, 3, float(bend))
    kinds = rng.choice(
        [BUILDING, PARKING, GRASSLAND, BARE_SOIL], lots.count, p=[0.6, 0.22, 0.1, 0.08]
    )
    colours = tones(rng, t.HALL_ROOFS, 8)[rng.integers(8, size=lots.count)]
    for kind, table in ((PARKING, t.PAVINGS), (GRASSLAND, t.MEADOWS), (BARE_SOIL, t.DIRT)):
        own = kinds == kind
        colours[own] = tones(rng, table, 4)[rng.integers(4, size=int(own.sum()))]
    ids = lots.ids
    label = kinds.astype(np.uint8)[ids]
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.05)
    shade += rng.random(lots.count).astype(np.float32)[ids] * 0.15 * wave(lots.along / 3)
    canvas.labels[mask] = label[mask]
    for band in range(4):
        np.copyto(canvas.refl[band], shade * colours[ids, band], where=mask)
    yard = np.float32((6 + 20 * rng.random()) / metres)
    apron = np.clip(yard - lots.edge + np.float32(0.5), 0, 1) * mask
    canvas.blend(canvas.whole(), tone(rng, t.PAVINGS), apron * np.float32(0.9))
    canvas.labels[(apron > 0.5) & (label == BUILDING)] = PARKING if metres < 5 else BUILDING
    cars = share(canvas.cut(0, shape), 0.2) & (canvas.labels == PARKING) & mask
    canvas.blend(canvas.whole(), tone(rng, t.HALL_ROOFS), cars * np.float32(0.4))
