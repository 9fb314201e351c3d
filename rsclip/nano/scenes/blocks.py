"""What stands inside a street block: houses, flats, halls, car parks, parks and baths."""

from collections.abc import Callable

import numpy as np

from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.draw_built import (
    draw_flat,
    draw_greenhouse,
    draw_panels,
    draw_ridged,
    draw_round,
)
from rsclip.nano.scenes.draw_ground import draw_bare_soil, draw_grassland
from rsclip.nano.scenes.draw_roads import draw_parking
from rsclip.nano.scenes.draw_trees import draw_forest, scatter_trees
from rsclip.nano.scenes.draw_water import draw_pool
from rsclip.nano.scenes.layout import Grid

Block = Callable[[Canvas, Grid, int, Patch], None]


def _place(
    canvas: Canvas,
    grid: Grid,
    index: int,
    u: float,
    v: float,
    half_u: float,
    half_v: float,
    quarter: bool = False,
) -> tuple[Patch, float] | None:
    """The free rectangle at (u, v) of a block, and its direction; None without room."""
    mid_u, mid_v = grid.middle(index)
    x, y, angle = grid.frame.world(mid_u + u, mid_v + v)
    if quarter:
        angle += np.pi / 2
    for factor in (1.0, 0.8, 0.62):  # where the street bends, a smaller one may still fit
        patch = canvas.rect(x, y, angle, half_u * factor, half_v * factor)
        if patch is not None and canvas.free(patch):
            return patch, angle
    return None


def _house(canvas: Canvas, grid: Grid, index: int, u: float, v: float) -> None:
    """A house of one or two wings."""
    rng = canvas.rng
    half_u, half_v = 5.0 + 3.5 * rng.random(), 4.2 + 2.0 * rng.random()
    placed = _place(canvas, grid, index, u, v, half_u, half_v, bool(rng.random() < 0.4))
    if placed is None:
        return
    patch, angle = placed
    if rng.random() < 0.85:
        tall = 3.5 + 3 * rng.random()
        draw_ridged(canvas, patch, angle, tall)
    else:
        draw_flat(canvas, patch, 4 + 3 * rng.random())
    canvas.lock(patch)


def houses(
    canvas: Canvas,
    grid: Grid,
    index: int,
    patch: Patch,
    pools: float = 0.15,
    garden_trees: float = 1.0,
) -> None:
    """Rows of houses in gardens, along both long sides of the block."""
    rng = canvas.rng
    draw_grassland(canvas, patch)
    step = 14 + 6 * rng.random()
    rows = max(1, round(2 * patch.half_v / 23))
    for row in range(rows):
        v = (row + 0.5) / rows * 2 * patch.half_v - patch.half_v
        towards_street = np.sign(v) * min(4.0, abs(v) / 3)
        for u in np.arange(step / 2 - patch.half_u, patch.half_u - step / 3, step):
            if rng.random() < pools:
                side = v - towards_street * 2 + (9 if rng.random() < 0.5 else -9)
                _pool_at(
                    canvas,
                    grid,
                    index,
                    float(u),
                    float(side),
                    4.2 + 2.5 * rng.random(),
                    3.2 + 1.0 * rng.random(),
                )
            if rng.random() < 0.94:
                _house(canvas, grid, index, float(u + rng.normal()), float(v + towards_street))
    area = 4 * patch.half_u * patch.half_v
    for _ in range(int(area / 260)):  # infill, sheds and back houses
        u, v = (2 * rng.random(2) - 1) * (patch.half_u - 5, patch.half_v - 5)
        _house(canvas, grid, index, float(u), float(v))
    scatter_trees(canvas, patch, int(area * garden_trees / 350))


def _pool_at(
    canvas: Canvas,
    grid: Grid,
    index: int,
    u: float,
    v: float,
    half_u: float,
    half_v: float,
    round_shape: bool | None = None,
    deck: float = 1.5,
) -> bool:
    mid_u, mid_v = grid.middle(index)
    x, y, angle = grid.frame.world(mid_u + u, mid_v + v)
    if round_shape is None:
        round_shape = bool(canvas.rng.random() < 0.35)
    return any(  # a smaller one where the first does not fit
        draw_pool(canvas, x, y, angle, half_u * factor, half_v * factor, round_shape, deck)
        for factor in (1.0, 0.75)
    )


def villas(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Houses of which most have a pool."""
    houses(canvas, grid, index, patch, pools=0.75, garden_trees=0.7)


def flats(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Slabs or a closed ring of tall buildings around a court."""
    rng = canvas.rng
    if rng.random() < 0.5:
        draw_grassland(canvas, patch)
    else:
        draw_parking(canvas, patch, plaza=bool(rng.random() < 0.4))
    height = 9 + 12 * rng.random()
    deep = 6 + 3 * rng.random()
    reach_u, reach_v = patch.half_u - deep - 1, patch.half_v - deep - 1
    if rng.random() < 0.5 and min(reach_u, reach_v) > deep + 4:
        ring = [
            (0.0, -reach_v, patch.half_u - 1, False),
            (0.0, reach_v, patch.half_u - 1, False),
            (-reach_u, 0.0, reach_v - deep, True),
            (reach_u, 0.0, reach_v - deep, True),
        ]
    else:
        gap = 2 * deep + 9 + 8 * rng.random()
        places = np.arange(deep + 1 - patch.half_v, patch.half_v - deep, gap)
        ring = [(0.0, float(v), patch.half_u * (0.7 + 0.25 * rng.random()), False) for v in places]
    ridged = rng.random() < 0.45
    for u, v, half_u, quarter in ring:
        placed = _place(canvas, grid, index, u, v, half_u, deep, quarter)
        if placed is None:
            continue
        if ridged:
            draw_ridged(canvas, placed[0], placed[1], height)
        else:
            draw_flat(canvas, placed[0], height + 3 * rng.random(), bool(rng.random() < 0.12))
        canvas.lock(placed[0])
    scatter_trees(canvas, patch, int(patch.half_u * patch.half_v / 90))


def halls(canvas: Canvas, grid: Grid, index: int, patch: Patch, solar: float = 0.3) -> None:
    """One to three wide flat-roofed halls on pavement, some under panels; a tank or two."""
    rng = canvas.rng
    draw_parking(canvas, patch)
    parts = max(1, round(patch.half_u / 26))
    width = patch.half_u / parts
    for part in range(parts):
        u = (2 * part + 1) * width - patch.half_u
        half_u, half_v = width - 2 - 3 * rng.random(), patch.half_v * (0.5 + 0.4 * rng.random())
        v = max(0.0, patch.half_v - half_v - 3) * (1 if rng.random() < 0.5 else -1)
        placed = _place(canvas, grid, index, u, v, half_u, half_v)
        if placed is None or rng.random() < 0.1:
            continue
        draw_flat(canvas, placed[0], 6 + 6 * rng.random(), bool(rng.random() < solar))
        canvas.lock(placed[0])
    for _ in range(int(rng.integers(0, 4))):
        size = 4 + 5 * rng.random()
        placed = _place(
            canvas,
            grid,
            index,
            (rng.random() - 0.5) * 1.6 * patch.half_u,
            (rng.random() - 0.5) * 1.6 * patch.half_v,
            size,
            size,
        )
        if placed is not None:
            draw_round(canvas, placed[0], 6 + 5 * rng.random())
            canvas.lock(placed[0])


def car_park(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """A block of parking bays, at times with a shop at one end or rows of trees."""
    rng = canvas.rng
    draw_parking(canvas, patch)
    if rng.random() < 0.5 and patch.half_u > 22:
        half = patch.half_u * 0.3
        placed = _place(canvas, grid, index, half + 1 - patch.half_u, 0, half, patch.half_v - 3)
        if placed is not None:
            draw_flat(canvas, placed[0], 6, bool(rng.random() < 0.3))
            canvas.lock(placed[0])
    if rng.random() < 0.4:
        scatter_trees(canvas, patch, int(patch.half_u * patch.half_v / 120))


def plaza(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """A paved square with a few trees and one building."""
    draw_parking(canvas, patch, plaza=True)
    placed = _place(canvas, grid, index, 0, 0, patch.half_u * 0.4, patch.half_v * 0.4)
    if placed is not None and canvas.rng.random() < 0.6:
        draw_ridged(canvas, placed[0], placed[1], 10)
        canvas.lock(placed[0])
    scatter_trees(canvas, patch, 8)


def park(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Lawn with trees, or a wood."""
    if canvas.rng.random() < 0.3:
        draw_forest(canvas, patch)
        return
    draw_grassland(canvas, patch)
    scatter_trees(canvas, patch, int(patch.half_u * patch.half_v / 60))


def site(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """A building site: bare soil and perhaps a shell."""
    draw_bare_soil(canvas, patch)
    placed = _place(canvas, grid, index, 0, 0, patch.half_u * 0.5, patch.half_v * 0.4)
    if placed is not None and canvas.rng.random() < 0.4:
        draw_flat(canvas, placed[0], 5)
        canvas.lock(placed[0])


def baths(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Public baths or a hotel garden: large pools on decks in a lawn, and a building."""
    rng = canvas.rng
    if rng.random() < 0.35:
        draw_parking(canvas, patch, plaza=True)
    else:
        draw_grassland(canvas, patch)
    placed = _place(canvas, grid, index, 0, 7.5 - patch.half_v, patch.half_u * 0.7, 6.5)
    if placed is not None:
        draw_flat(canvas, placed[0], 8 + 14 * rng.random())
        canvas.lock(placed[0])
    if rng.random() < 0.5:  # one large lagoon
        _pool_at(
            canvas,
            grid,
            index,
            0.0,
            6.0,
            patch.half_u * 0.75,
            (patch.half_v - 8) * 0.7,
            True,
            deck=3.0,
        )
    step = 22 + 14 * rng.random()
    for v in np.arange(24 - patch.half_v, patch.half_v - 5, step * 0.75):
        for u in np.arange(step / 2 - patch.half_u, patch.half_u, step * 1.15):
            half_u = step * (0.38 + 0.12 * rng.random())
            half_v = min(half_u, step * (0.22 + 0.08 * rng.random()))
            _pool_at(canvas, grid, index, float(u), float(v), half_u, half_v, deck=2.5)
    scatter_trees(canvas, patch, int(patch.half_u * patch.half_v / 110))


def glasshouses(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Greenhouses side by side on a yard."""
    rng = canvas.rng
    if rng.random() < 0.5:
        draw_grassland(canvas, patch)
    else:
        draw_bare_soil(canvas, patch)
    parts = max(1, round(patch.half_u / 24))
    width = patch.half_u / parts
    for part in range(parts):
        u = (2 * part + 1) * width - patch.half_u
        half_v = patch.half_v * (0.7 + 0.25 * rng.random())
        placed = _place(canvas, grid, index, u, 0, width - 1.5, half_v)
        if placed is not None and rng.random() < 0.93:
            draw_greenhouse(canvas, placed[0])
            canvas.lock(placed[0])


def solar_field(canvas: Canvas, grid: Grid, index: int, patch: Patch) -> None:
    """Arrays of panels with grass lanes between them and a transformer hut."""
    draw_grassland(canvas, patch)
    parts = max(1, round(patch.half_u / 30))
    width = patch.half_u / parts
    hut = _place(canvas, grid, index, 5 - patch.half_u, 5 - patch.half_v, 4.5, 3.5)
    if hut is not None:
        draw_flat(canvas, hut[0], 3)
        canvas.lock(hut[0])
    for part in range(parts):
        # An array follows its field's outline, so it is cut out of the field, not a rectangle.
        shift = np.float32((2 * part + 1) * width - patch.half_u)
        mask = patch.mask & ~canvas.locked[patch.window]
        array = Patch(patch.window, mask, patch.u - shift, patch.v, width - 1, patch.half_v)
        array = array.inset(2.0)
        draw_panels(canvas, array, 2.0)
        canvas.lock(array)
