"""Scenes at 0.1 to 1 m a pixel as real places look: dull colours, villages, old quarters."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.classes import BARE_SOIL, ROAD
from rsclip.nano.scenes.draw_built import draw_flat, draw_ridged
from rsclip.nano.scenes.draw_ground import draw_bare_soil, draw_cropland, draw_grassland
from rsclip.nano.scenes.draw_trees import draw_forest, scatter_trees
from rsclip.nano.scenes.far_ground import broad, share
from rsclip.nano.scenes.layout import Frame, make_curve, make_grid
from rsclip.nano.scenes.palette import Palette
from rsclip.nano.scenes.recipes import RECIPES
from rsclip.nano.scenes.tones import tone, tones

# Where there are many houses, larger pixels would cost much time.
_DENSE = ("village", "old-quarter", "town", "suburb", "industrial", "resort", "coast")
_DENSE_SPAN, _SPAN = (0.1, 0.6), (0.2, 1.0)


def dull(rng: np.random.Generator, palette: Palette) -> Palette:
    """The palette with colours of real ground; what people make keeps its own."""
    lift = np.float32(1.1 + 0.7 * rng.random())  # fewer shadows in a pixel than from far above
    soil, grass = tone(rng, t.DIRT), tone(rng, t.MEADOWS) * lift
    water = tone(rng, t.WATER_TONES) * lift
    crops = t.GREEN_CROPS + t.BARE_CROPS
    return replace(
        palette,
        soil=soil,
        grass=grass,
        grass_dry=tone(rng, t.MEADOWS[2:]) * lift,
        crops=tuple(tone(rng, crops) * lift for _ in range(4)),
        trees=tuple(tones(rng, t.FORESTS, int(rng.integers(2, 7)), 0.3) * lift),
        water=water,
        shallow=water * np.float32(0.6) + soil * np.float32(0.3),
        sand=tone(rng, t.SAND_TONES),
        asphalt=tone(rng, t.PAVINGS),
        pavement=tone(rng, t.PAVINGS),
    )


def _hut(canvas: Canvas, x: float, y: float, angle: float) -> None:
    """A small building with a roof of metal or concrete; nothing where there is no room."""
    rng = canvas.rng
    half_u, half_v = 2.5 + 4.5 * rng.random() ** 1.5, 2.0 + 2.5 * rng.random()
    gap = 0.3 + 1.5 * rng.random()
    around = canvas.rect(x, y, angle, half_u + gap, half_v + gap)
    patch = canvas.rect(x, y, angle, half_u, half_v)
    if around is None or patch is None or not canvas.free(around):
        return
    if rng.random() < 0.6:
        draw_ridged(canvas, patch, angle, 2.5 + rng.random())
    else:
        draw_flat(canvas, patch, 3 + 3 * rng.random())
    if rng.random() < 0.5:  # rust and dirt, sheet by sheet
        sheets = np.floor(patch.u / np.float32(0.8 + rng.random())).astype(np.int32) & 31
        worn = rng.random(32).astype(np.float32)[sheets] * np.float32(0.6 * rng.random())
        canvas.blend(patch, tone(rng, t.METAL_ROOFS[4:7]), worn)
    canvas.lock(patch)


def _track(canvas: Canvas) -> None:
    """An unpaved road, worn and uneven."""
    rng = canvas.rng
    length = 60 + 120 * rng.random()
    curve = make_curve(
        canvas, Frame.draw(canvas), (rng.random() - 0.5) * canvas.size[0] * 0.7, 8.0, length
    )
    half = 1.5 + 2.5 * rng.random() + canvas.cut(3, canvas.labels.shape) * 0.4
    patch = curve.patch(canvas, half)
    shade = 1 + canvas.cut(2, patch.shape) * np.float32(0.06) + canvas.cut(0, patch.shape) * 0.04
    canvas.fill(patch, ROAD, tone(rng, t.DIRT), shade)
    canvas.lock(patch)


def village(canvas: Canvas) -> None:
    """Small houses close together or strewn, tracks of earth, trees, plots and bare yards."""
    rng = canvas.rng
    canvas.palette = replace(canvas.palette, roofs=tuple(tones(rng, t.METAL_ROOFS, 5)))
    whole = canvas.whole()
    lie = broad(canvas, 40 / canvas.gsd)
    draw_bare_soil(canvas, whole.only(share(lie, 0.2 + 0.7 * rng.random())))
    for painter in (draw_grassland, draw_cropland, draw_forest):
        if rng.random() < 0.5:
            painter(canvas, whole.only(share(broad(canvas, 30 / canvas.gsd), 0.25 * rng.random())))
    for _ in range(int(rng.integers(1, 4))):
        _track(canvas)
    dense = rng.random()
    wide, tall = canvas.size
    count = min(500, int(wide * tall / (60 + 500 * dense)))
    base = float(np.pi * rng.random())
    places = rng.random((count, 2)) * (wide, tall)
    angles = base + rng.normal(0, 0.05 + 0.3 * rng.random(), count)
    angles += np.pi / 2 * rng.integers(0, 2, count)
    for (x, y), angle in zip(places, angles, strict=True):
        _hut(canvas, float(x), float(y), float(angle))
    scatter_trees(canvas, canvas.whole(), int(wide * tall / (80 + 600 * rng.random())))


def old_quarter(canvas: Canvas) -> None:
    """Roof against roof with narrow lanes and courtyards."""
    rng = canvas.rng
    tables = (t.TOWN_ROOFS, t.TOWN_ROOFS[2:4], t.METAL_ROOFS, t.DIRT)
    roofs = tones(rng, tables[int(rng.integers(4))], 5)
    canvas.palette = replace(canvas.palette, roofs=tuple(roofs * np.float32(1.2)))
    shape = canvas.labels.shape
    shade = 1 + canvas.cut(2, shape) * np.float32(0.06) + canvas.cut(-1, shape) * np.float32(0.04)
    paved = rng.random() < 0.6
    ground = tone(rng, t.PAVINGS if paved else t.DIRT)
    canvas.fill(canvas.whole(), ROAD if paved else BARE_SOIL, ground, shade)
    for _ in range(int(rng.integers(0, 3))):
        _track(canvas)
    side = 7 + 8 * rng.random()
    grid = make_grid(
        canvas,
        Frame.draw(canvas, 8 * rng.random(), 120.0),
        (side, 2.2 * side),
        (0.8 * side, 1.5 * side),
    )
    for index, patch in grid.patches(0.2 + 1.2 * rng.random()):
        _lot(
            canvas,
            patch.only(~canvas.locked[patch.window]),
            grid.frame.world(*grid.middle(index))[2],
        )
    scatter_trees(canvas, canvas.whole(), int(40 * rng.random()))


def _lot(canvas: Canvas, patch: Patch, angle: float) -> None:
    """A house that fills its lot, or a yard."""
    if patch.half_u <= 1 or patch.half_v <= 1 or not patch.mask.any():
        return
    draw = canvas.rng.random()
    if draw < 0.12:
        draw_bare_soil(canvas, patch)
    elif draw < 0.18:
        draw_grassland(canvas, patch)
    elif draw < 0.7:
        draw_ridged(canvas, patch, angle, 4 + 5 * canvas.rng.random())
    else:
        draw_flat(canvas, patch, 4 + 6 * canvas.rng.random())


NEAR: Mapping[str, tuple[Callable[[Canvas], None], float]] = {
    **RECIPES,
    "village": (village, 4.0),
    "old-quarter": (old_quarter, 2.0),
}


def span(kind: str) -> tuple[float, float]:
    """The smallest and largest pixel, in metres, at which a near scene is drawn."""
    return _DENSE_SPAN if kind in _DENSE else _SPAN
