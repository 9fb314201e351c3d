"""The kinds of scene, each a recipe that fills a blank canvas."""

from collections.abc import Callable, Mapping

import numpy as np

from rsclip.nano.scenes import blocks
from rsclip.nano.scenes.canvas import Canvas, Patch
from rsclip.nano.scenes.draw_built import draw_ridged
from rsclip.nano.scenes.draw_ground import draw_bare_soil, draw_cropland, draw_grassland, draw_sand
from rsclip.nano.scenes.draw_trees import draw_forest, draw_orchard, scatter_trees
from rsclip.nano.scenes.draw_water import draw_pond, draw_water
from rsclip.nano.scenes.layout import Frame, Grid, make_grid
from rsclip.nano.scenes.networks import add_railway, add_river, add_road, add_streets, coast_line

Range = tuple[float, float]


def _on_ground(painter: Callable[[Canvas, Patch], None]) -> blocks.Block:
    """A block filler that only paints the ground."""
    return lambda canvas, _grid, _index, patch: painter(canvas, patch)


FILLERS: Mapping[str, blocks.Block] = {
    "houses": blocks.houses,
    "villas": blocks.villas,
    "flats": blocks.flats,
    "halls": blocks.halls,
    "car park": blocks.car_park,
    "plaza": blocks.plaza,
    "park": blocks.park,
    "site": blocks.site,
    "baths": blocks.baths,
    "glass": blocks.glasshouses,
    "solar": blocks.solar_field,
    "crop": _on_ground(draw_cropland),
    "grass": _on_ground(draw_grassland),
    "soil": _on_ground(draw_bare_soil),
    "sand": _on_ground(draw_sand),
    "wood": _on_ground(draw_forest),
    "orchard": _on_ground(draw_orchard),
    "lake": _on_ground(draw_pond),
}


def _fill_cells(canvas: Canvas, grid: Grid, margin: float, mix: Mapping[str, float]) -> None:
    """Fill each cell with something drawn from the weighted mix."""
    names = list(mix)
    bounds = np.cumsum([mix[name] for name in names])
    for index, patch in grid.patches(margin):
        free = patch.only(~canvas.locked[patch.window])
        draw = canvas.rng.random() * bounds[-1]
        if free.mask.any():
            name = names[int(np.searchsorted(bounds, draw, side="right"))]
            FILLERS[name](canvas, grid, index, free)


def _street_blocks(
    canvas: Canvas, mix: Mapping[str, float], wide: Range, tall: Range, street: float, bend: float
) -> None:
    """Street blocks over everything that is not locked yet."""
    frame = Frame.draw(canvas, bend, 240.0)
    grid = make_grid(canvas, frame, wide, tall)
    add_streets(canvas, grid, street)
    _fill_cells(canvas, grid, street, mix)


def _parcels(
    canvas: Canvas, mix: Mapping[str, float], wide: Range, tall: Range, bend: float = 8.0
) -> None:
    """Fields side by side, with narrow grass balks, over everything not locked yet."""
    grid = make_grid(canvas, Frame.draw(canvas, bend, 300.0), wide, tall)
    margin = 0.6 + 1.2 * canvas.rng.random()
    _fill_cells(canvas, grid, margin, mix)


def _farmyard(canvas: Canvas) -> None:
    """A few farm buildings in one place, before the fields are laid around them."""
    rng = canvas.rng
    wide, tall = canvas.size
    x, y = wide * (0.2 + 0.6 * rng.random()), tall * (0.2 + 0.6 * rng.random())
    angle = np.pi * rng.random()
    for step in range(int(rng.integers(2, 5))):
        patch = canvas.rect(
            x + 20 * np.cos(angle) * step,
            y + 20 * np.sin(angle) * step,
            angle + np.pi / 2 * (step % 2),
            8 + 7 * rng.random(),
            5 + 3 * rng.random(),
        )
        if patch is not None and canvas.free(patch):
            draw_ridged(canvas, patch, angle + np.pi / 2 * (step % 2), 5 + 2 * rng.random())
            canvas.lock(patch)


def town(canvas: Canvas) -> None:
    """Dense blocks on a street grid, often with a river, an avenue or a railway."""
    rng = canvas.rng
    if rng.random() < 0.35:
        add_river(canvas, 9 + 12 * rng.random(), banks=False)
    if rng.random() < 0.4:
        add_railway(canvas)
    if rng.random() < 0.6:
        add_road(canvas, 6 + rng.random())
    mix = {
        "houses": 3.0,
        "flats": 5.0,
        "halls": 1.5,
        "car park": 1.0,
        "plaza": 0.8,
        "park": 1.0,
        "site": 0.5,
        "baths": 0.6,
    }
    _street_blocks(canvas, mix, (50, 90), (38, 60), 3.6 + 1.5 * rng.random(), 10 * rng.random())


def suburb(canvas: Canvas) -> None:
    """Houses in gardens along curved streets; pools, parks and car parks."""
    rng = canvas.rng
    if rng.random() < 0.4:
        add_road(canvas)
    if rng.random() < 0.25:
        add_railway(canvas)
    mix = {"houses": 5.0, "villas": 4.0, "park": 1.0, "baths": 0.6, "car park": 0.5, "site": 0.4}
    _street_blocks(
        canvas, mix, (70, 130), (42, 62), 3.5 + 1.2 * rng.random(), 18 + 14 * rng.random()
    )


def industrial(canvas: Canvas) -> None:
    """Halls, yards, car parks and sidings."""
    rng = canvas.rng
    if rng.random() < 0.6:
        add_railway(canvas, 5 + 5 * rng.random())
    if rng.random() < 0.5:
        add_road(canvas, 6 + rng.random())
    mix = {"halls": 7.0, "car park": 1.5, "soil": 0.8, "grass": 0.6, "solar": 0.6, "sand": 0.3}
    _street_blocks(canvas, mix, (70, 120), (55, 85), 4.5 + 1.5 * rng.random(), 4 * rng.random())


def railyard(canvas: Canvas) -> None:
    """One wide fan of tracks and two lines, with halls and waste ground around."""
    rng = canvas.rng
    frame = Frame.draw(canvas)
    middle = (rng.random() - 0.5) * 60
    half = 12 + 20 * rng.random()
    add_railway(canvas, half, frame, float(middle))
    gap = half + 16 + 22 * rng.random()
    add_railway(canvas, None, frame, float(middle + (gap if rng.random() < 0.5 else -gap)))
    if rng.random() < 0.5:
        add_road(canvas)
    mix = {"halls": 3.0, "car park": 1.5, "soil": 1.5, "grass": 1.0, "wood": 0.7, "houses": 1.0}
    _street_blocks(canvas, mix, (60, 100), (45, 75), 4 + rng.random(), 5.0)


def farmland(canvas: Canvas) -> None:
    """Fields of crops with woods, meadows, roads and a farm."""
    rng = canvas.rng
    if rng.random() < 0.3:
        add_river(canvas, 5 + 5 * rng.random())
    if rng.random() < 0.25:
        add_railway(canvas)
    if rng.random() < 0.7:
        add_road(canvas)
    _farmyard(canvas)
    mix = {
        "crop": 6.0,
        "grass": 1.2,
        "soil": 1.0,
        "wood": 0.8,
        "orchard": 0.7,
        "solar": 0.2,
        "glass": 0.4,
    }
    _parcels(canvas, mix, (50, 140), (35, 90))
    scatter_trees(canvas, canvas.whole(), 25)


def orchards(canvas: Canvas) -> None:
    """Orchards among fields and greenhouses."""
    rng = canvas.rng
    if rng.random() < 0.6:
        add_road(canvas)
    _farmyard(canvas)
    mix = {"orchard": 5.0, "crop": 1.5, "grass": 0.8, "soil": 0.6, "glass": 1.2, "wood": 0.4}
    _parcels(canvas, mix, (50, 120), (40, 90))


def horticulture(canvas: Canvas) -> None:
    """Blocks of greenhouses with access roads, ponds and fields."""
    rng = canvas.rng
    if rng.random() < 0.4:
        add_road(canvas)
    mix = {
        "glass": 5.0,
        "crop": 1.2,
        "lake": 0.4,
        "houses": 0.7,
        "orchard": 0.6,
        "grass": 0.5,
        "soil": 0.4,
        "car park": 0.3,
    }
    _street_blocks(canvas, mix, (60, 130), (45, 85), 3.5 + rng.random(), 4.0)


def solar_park(canvas: Canvas) -> None:
    """Arrays of panels among fields."""
    rng = canvas.rng
    if rng.random() < 0.6:
        add_road(canvas)
    if rng.random() < 0.2:
        add_railway(canvas)
    mix = {"solar": 5.0, "crop": 1.2, "grass": 1.0, "soil": 0.6, "wood": 0.6, "orchard": 0.3}
    _parcels(canvas, mix, (70, 140), (50, 110), bend=3.0)


def coast(canvas: Canvas) -> None:
    """Sea, beach and dunes, a promenade, and hotels or fields behind."""
    rng = canvas.rng
    line = coast_line(canvas)
    rows, cols = canvas.labels.shape
    window = (slice(0, rows), slice(0, cols))
    beach = np.float32(14 + 30 * rng.random())
    wide, tall = canvas.size

    def part(mask: np.ndarray) -> Patch:
        return Patch(window, mask, line.along, line.across, wide / 2, tall / 2)

    sea = part(line.across < 0)
    draw_water(canvas, sea, -line.across)
    surf = np.clip(1 - np.abs(line.across + 5 + canvas.cut(2, (rows, cols)) * 1.5) / 1.6, 0, 1)
    canvas.blend(sea, np.full(4, 0.85, np.float32), surf * np.float32(0.2 + 0.6 * rng.random()))
    draw_sand(canvas, part((line.across >= 0) & (line.across < beach)))
    if rng.random() < 0.5:
        dunes = part((line.across >= beach) & (line.across < beach + 18))
        draw_grassland(canvas, dunes)
        draw_sand(canvas, dunes.only(canvas.cut(3, (rows, cols)) > 0))
        beach += np.float32(18)
    canvas.locked |= line.across < beach
    kind = rng.random()
    if kind < 0.6:
        mix = {"baths": 3.0, "villas": 2.0, "flats": 2.0, "car park": 1.2, "park": 1.0, "sand": 0.5}
        _street_blocks(canvas, mix, (55, 95), (45, 65), 3.6 + rng.random(), 8.0)
    else:
        if rng.random() < 0.7:
            add_road(canvas)
        mix = {"grass": 2.0, "wood": 1.5, "crop": 1.0, "sand": 1.2, "houses": 0.8, "baths": 0.8}
        _parcels(canvas, mix, (45, 100), (35, 80))


def resort(canvas: Canvas) -> None:
    """Hotels and baths with many large pools, palms, paving and sand courts."""
    rng = canvas.rng
    if rng.random() < 0.4:
        add_road(canvas)
    mix = {
        "baths": 8.0,
        "villas": 2.0,
        "flats": 0.6,
        "plaza": 0.6,
        "car park": 0.7,
        "sand": 0.9,
        "park": 0.6,
    }
    _street_blocks(canvas, mix, (60, 110), (50, 85), 3.6 + rng.random(), 14.0)


def river(canvas: Canvas) -> None:
    """A wide meandering river through woods, meadows and fields."""
    rng = canvas.rng
    add_river(canvas, 14 + 22 * rng.random())
    if rng.random() < 0.6:
        add_road(canvas)
    if rng.random() < 0.25:
        add_railway(canvas)
    mix = {
        "wood": 2.0,
        "grass": 2.0,
        "crop": 1.5,
        "sand": 0.7,
        "houses": 0.7,
        "soil": 0.5,
        "orchard": 0.4,
    }
    _parcels(canvas, mix, (45, 120), (40, 90), bend=18.0)


def wild(canvas: Canvas) -> None:
    """Woods, lakes, heath, dunes and scree in soft shapes, with a track."""
    rng = canvas.rng
    shape = canvas.labels.shape
    whole = canvas.whole()
    lie = canvas.cut(4, shape) + canvas.cut(3, shape) * np.float32(0.35)
    lie += canvas.cut(2, shape) * np.float32(0.08)
    other = canvas.cut(4, shape) + canvas.cut(3, shape) * np.float32(0.3)
    draw_forest(canvas, whole.only(lie > 0.25))
    draw_bare_soil(canvas, whole.only((lie <= 0.25) & (other > 0.8)))
    draw_sand(canvas, whole.only((lie <= 0.1) & (other < -0.7)))
    lake = lie < -0.95
    draw_water(canvas, whole.only(lake), (-0.95 - lie) * np.float32(22))
    canvas.locked |= lake
    scatter_trees(canvas, canvas.whole().only(lie < 0.2), 60)
    if rng.random() < 0.5:
        add_road(canvas, 3.5)


def quarry(canvas: Canvas) -> None:
    """Bare soil and sand in heaps and pits, with a pond, halls and woods around."""
    rng = canvas.rng
    add_road(canvas, 4.0)
    if rng.random() < 0.4:
        add_railway(canvas)
    mix = {"soil": 4.0, "sand": 2.5, "lake": 0.5, "wood": 1.0, "halls": 0.6, "grass": 0.8}
    _parcels(canvas, mix, (50, 120), (40, 100), bend=24.0)


RECIPES: Mapping[str, tuple[Callable[[Canvas], None], float]] = {
    "town": (town, 1.5),
    "suburb": (suburb, 1.1),
    "industrial": (industrial, 1.1),
    "railyard": (railyard, 1.4),
    "farmland": (farmland, 1.0),
    "orchards": (orchards, 0.9),
    "horticulture": (horticulture, 1.5),
    "solar-park": (solar_park, 1.0),
    "coast": (coast, 1.0),
    "resort": (resort, 2.7),
    "river": (river, 1.0),
    "wild": (wild, 0.8),
    "quarry": (quarry, 0.8),
}
KINDS: tuple[str, ...] = tuple(RECIPES)


def draw_kind(rng: np.random.Generator) -> str:
    """One of KINDS by its weight."""
    weights = np.cumsum([weight for _, weight in RECIPES.values()])
    return KINDS[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
