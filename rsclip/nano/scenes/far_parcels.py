"""Parcels of farmed ground as they look at 2 to 30 m a pixel; see `far_ground`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas, Mask
from rsclip.nano.scenes.classes import (
    BARE_SOIL,
    CROPLAND,
    FOREST,
    GRASSLAND,
    GREENHOUSE,
    ORCHARD,
    SOLAR,
    WATER,
)
from rsclip.nano.scenes.far_ground import bare, whole
from rsclip.nano.scenes.layout import Frame, make_grid
from rsclip.nano.scenes.noise import Array, wave
from rsclip.nano.scenes.palette import Colour
from rsclip.nano.scenes.tones import tone, tones


@dataclass(frozen=True)
class Parcels:
    """Parcels side by side: `ids` (H, W) from 0 below `count`; `edge` (H, W) pixels to the next.

    `along` (H, W) float32 runs across the rows that are worked in each, in pixels.
    """

    ids: npt.NDArray[np.int32]
    edge: Array
    along: Array
    count: int


def parcels(canvas: Canvas, size: float, strips: int, bend: float) -> Parcels:
    """Cells about `size` pixels wide, each cut into up to `strips` strips one way or the other."""
    rng = canvas.rng
    frame = Frame.draw(canvas, bend, max(200.0, 14 * bend))
    stretch = 0.6 + 0.6 * rng.random()
    wide, tall = (0.6 * size, 1.8 * size), (0.6 * size * stretch, 1.6 * size * stretch)
    grid = make_grid(canvas, frame, wide, tall)
    cells = len(grid.bounds)
    cut = rng.integers(1, strips + 1, cells).astype(np.float32)
    turned = rng.random(cells) < 0.5
    ids = grid.ids - 1
    bounds = grid.bounds.astype(np.float32)
    low = np.where(turned, bounds[:, 0], bounds[:, 2])[ids]
    span = np.where(turned, bounds[:, 1] - bounds[:, 0], bounds[:, 3] - bounds[:, 2])
    across = np.where(turned[ids], grid.u, grid.v) - low
    place = np.clip(across / span[ids], 0, 0.9999) * cut[ids]
    strip = place.astype(np.int32)
    part = place - strip
    gap = np.minimum(part, 1 - part) * (span / cut)[ids]
    edge = np.minimum(np.minimum(grid.edge_u, grid.edge_v), gap)
    return Parcels((ids * strips + strip).astype(np.int32), edge, across, cells * strips)


def _season(rng: np.random.Generator, kind: int, count: int) -> Colour:
    """Colours (count, 4) that the parcels of a class have in this scene."""
    if kind == CROPLAND:
        green = rng.random() ** 1.4
        some = [t.GREEN_CROPS if rng.random() < green else t.BARE_CROPS for _ in range(count)]
        return np.stack([tone(rng, colours) for colours in some])
    table: Mapping[int, tuple[tuple[float, float, float, float], ...]] = {
        GRASSLAND: t.MEADOWS,
        FOREST: t.FORESTS,
        ORCHARD: t.DIRT + t.MEADOWS,
        BARE_SOIL: t.DIRT,
        GREENHOUSE: t.HALL_ROOFS[:2],
        WATER: t.WATER_TONES,
        SOLAR: t.TOWN_ROOFS[-1:],
    }
    return tones(rng, table[kind], count)


def mosaic(
    canvas: Canvas, mask: Mask, metres: float, mix: Mapping[int, float], size: float
) -> Parcels:
    """Parcels of `size` metres, of the classes in the weighted mix, over the mask."""
    rng, shape = canvas.rng, whole(canvas)
    pixels = max(3.5, size / metres)
    bend = pixels * 0.5 * rng.random() ** 2 if rng.random() < 0.5 else 0.0
    lots = parcels(canvas, pixels, int(rng.integers(1, 6)), float(bend))
    names = np.array(list(mix))
    weights = np.array([mix[int(name)] for name in names])
    kinds = names[rng.choice(len(names), lots.count, p=weights / weights.sum())]
    colours = np.zeros((lots.count, 4), np.float32)
    for kind in names:
        own = kinds == kind
        season = _season(rng, int(kind), 5)
        colours[own] = season[rng.integers(len(season), size=int(own.sum()))]
    colours *= 1 + np.float32(0.08) * rng.standard_normal((lots.count, 1), np.float32)
    ids = lots.ids
    # How much each class's grain, rows and spots show.
    grain = np.full(256, 0.005 + 0.035 * rng.random() ** 1.5, np.float32)
    grain[[FOREST, ORCHARD, GREENHOUSE]] = (0.03 + 0.09 * rng.random(), 0.10, 0.12)
    spots = np.full(256, 0.05, np.float32)
    rows = (0.10 * rng.random(lots.count) ** 2).astype(np.float32)
    rows[kinds == FOREST] = 0
    rows[kinds == ORCHARD] = 0.12
    rows[kinds == GREENHOUSE] = 0.2
    label = kinds.astype(np.uint8)[ids]
    shade = 1 + grain[label] * canvas.cut(0, shape)
    shade += spots[label] * (canvas.cut(2, shape) * 0.6 + canvas.cut(3, shape) * 0.8)
    shade += rows[ids] * wave(lots.along / np.float32(2.2 + 4 * rng.random()))
    window = canvas.whole().only(mask)
    canvas.labels[mask] = label[mask]
    for band in range(4):
        np.copyto(canvas.refl[band], shade * colours[ids, band], where=window.mask)
    if ORCHARD in mix:
        _orchard_crowns(canvas, (label == ORCHARD) & mask, metres)
    _hedges(canvas, lots, mask, metres)
    return lots


def _orchard_crowns(canvas: Canvas, where: Mask, metres: float) -> None:
    """Crowns in a square grid, or the grain they leave where pixels are larger."""
    rng, shape = canvas.rng, whole(canvas)
    step = np.float32(max(2.2, (5 + 6 * rng.random()) / metres))
    u, v = Frame.draw(canvas, 3.0).local(canvas)
    grid = wave(u / step) + wave(v / step) + canvas.cut(0, shape) * np.float32(0.5)
    weight = np.clip(grid * 0.5 + np.float32(0.2 + 0.3 * rng.random()), 0, 1) * where
    canvas.blend(canvas.whole(), tone(rng, t.FORESTS), weight * np.float32(0.8))


def _hedges(canvas: Canvas, lots: Parcels, mask: Mask, metres: float) -> None:
    """Hedges, balks or tracks along the parcels' edges."""
    rng = canvas.rng
    kind = rng.random()
    if kind < 0.3:
        return
    half = np.float32(max(0.35, min(2.5, (3 + 4 * rng.random()) / metres)))
    line = np.clip(half - lots.edge + np.float32(0.5), 0, 1) * mask
    if kind < 0.65:
        gaps = np.clip(canvas.cut(3, whole(canvas)) + np.float32(0.6), 0, 1)
        canvas.blend(canvas.whole(), tone(rng, t.FORESTS), line * gaps * np.float32(0.9))
    else:
        colours = t.DIRT if rng.random() < 0.5 else t.MEADOWS
        canvas.blend(canvas.whole(), tone(rng, colours), line * np.float32(0.6))


def pivots(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Round irrigated fields in squares of dry ground."""
    rng = canvas.rng
    pixels = max(8.0, (600 + 300 * rng.random()) / metres)
    grid = make_grid(canvas, Frame.draw(canvas), (pixels, pixels), (pixels, pixels))
    bare(canvas, mask, metres)
    bounds = grid.bounds.astype(np.float32)
    ids = grid.ids - 1
    du = grid.u - ((bounds[:, 0] + bounds[:, 1]) / 2)[ids]
    dv = grid.v - ((bounds[:, 2] + bounds[:, 3]) / 2)[ids]
    inside = np.sqrt(du * du + dv * dv) < np.float32(0.48 * pixels)
    used = (rng.random(len(bounds)) < 0.8)[ids] & inside & mask
    half = (rng.random(len(bounds)) * np.float32(1.0)).astype(np.float32)
    angle = wave(half)[ids] * du + wave(half + np.float32(0.25))[ids] * dv > 0
    colours = _season(rng, CROPLAND, 2 * len(bounds))[ids * 2 + angle]
    shade = 1 + canvas.cut(2, whole(canvas)) * np.float32(0.05)
    canvas.labels[used] = CROPLAND
    for band in range(4):
        np.copyto(canvas.refl[band], shade * colours[..., band], where=used)
