"""Landscapes at 0.4 or 2 to 30 m a pixel, each a recipe that fills a canvas measured in pixels."""

from collections.abc import Callable, Mapping

import numpy as np

from rsclip.nano.scenes import far_ground as far
from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas, Mask
from rsclip.nano.scenes.classes import (
    BARE_SOIL,
    CROPLAND,
    FOREST,
    GRASSLAND,
    GREENHOUSE,
    ORCHARD,
    RAILWAY,
    ROAD,
    SAND,
    SOLAR,
    WATER,
)
from rsclip.nano.scenes.far_built import town, works
from rsclip.nano.scenes.far_parcels import mosaic, pivots
from rsclip.nano.scenes.layout import Curve, Frame, make_curve
from rsclip.nano.scenes.noise import value_noise, wave
from rsclip.nano.scenes.tones import tone, tones

Recipe = Callable[[Canvas, float], None]


def _all(canvas: Canvas) -> Mask:
    return np.ones(canvas.labels.shape, np.bool_)


def _curve(canvas: Canvas, swing: float = 1.0) -> Curve:
    """A winding line across the scene, in pixels."""
    rng = canvas.rng
    length = (0.25 + 0.9 * rng.random()) * min(canvas.size)
    offset = (rng.random() - 0.5) * 0.8 * min(canvas.size)
    curve = make_curve(canvas, Frame.draw(canvas), offset, swing * length / 9, length)
    uneven = canvas.cut(3, far.whole(canvas)) * np.float32(1.5 * swing)
    return Curve(curve.along, curve.across + uneven)


def _roads(canvas: Canvas, metres: float, most: int = 4) -> None:
    """Through roads, thin and light or dark; now and then a railway or a wide motorway."""
    rng = canvas.rng
    for _ in range(int(rng.integers(0, most + 1))):
        curve = _curve(canvas, 0.5 * rng.random())
        wide = rng.random() < 0.25
        half = max(0.45, (12 if wide else 4 + 3 * rng.random()) / metres)
        rail = rng.random() < 0.12 and metres < 8
        colours = t.PAVINGS if rng.random() < 0.7 else t.DIRT
        label = RAILWAY if rail else ROAD
        far.line(canvas, curve.across, half, label, tone(rng, colours), 0.5 + 0.5 * rng.random())
        if wide:
            verge = np.clip(1 - np.abs(curve.across) * metres / 2, 0, 1)
            canvas.blend(canvas.whole(), tone(rng, t.MEADOWS), verge * np.float32(0.5))


def _river(canvas: Canvas, metres: float, half: float | None = None) -> Curve:
    """A river of 10 to 600 m, its banks wooded, sandy or bare."""
    rng = canvas.rng
    half = half or max(0.7, (5 + 300 * rng.random() ** 3) / metres)
    half = min(half, 90.0)
    curve = _curve(canvas, 1.5)
    width = half * (1 + 0.35 * wave(curve.along / np.float32(87)))
    shore = (width - np.abs(curve.across)).astype(np.float32)
    bank = rng.random()
    if bank < 0.5:
        belt = (shore > -(20 + 60 * rng.random()) / metres) & (
            canvas.cut(3, far.whole(canvas)) > -0.4
        )
        far.forest(canvas, belt, metres)
    elif bank < 0.75:
        bar = np.clip(wave(curve.along / np.float32(70)) * np.sign(curve.across), 0, 1)
        far.sand(canvas, shore > -bar * half - 1, metres)
    far.water(canvas, shore > 0, metres, shore)
    return curve


def _blobs(canvas: Canvas, part: float) -> Mask:
    """Soft patches over a share of the scene."""
    return far.share(far.broad(canvas, 60 + 120 * canvas.rng.random()), part)


def _villages(canvas: Canvas, metres: float, part: float) -> None:
    """Villages or towns on a share of the scene."""
    rng = canvas.rng
    green = float(rng.random())
    town(canvas, _blobs(canvas, part), metres, green, bool(rng.random() < 0.5))


def fields(canvas: Canvas, metres: float) -> None:
    """Crop fields in one of many layouts, with woods, villages, a river and roads."""
    rng = canvas.rng
    size = 60 + 500 * rng.random() ** 2 if rng.random() < 0.8 else 900.0
    mix = {CROPLAND: 1.0, GRASSLAND: 0.25 * rng.random(), FOREST: 0.12 * rng.random()}
    mosaic(canvas, _all(canvas), metres, mix, size)
    if rng.random() < 0.6:
        far.forest(canvas, _blobs(canvas, 0.02 + 0.2 * rng.random()), metres)
    if rng.random() < 0.4:
        _villages(canvas, metres, 0.02 + 0.08 * rng.random())
    if rng.random() < 0.3:
        _river(canvas, metres)
    _roads(canvas, metres)


def pastures(canvas: Canvas, metres: float) -> None:
    """Meadows and pastures with hedges and single trees, woods between them."""
    rng = canvas.rng
    if rng.random() < 0.7:
        mix = {GRASSLAND: 1.0, CROPLAND: 0.15 * rng.random(), FOREST: 0.12 * rng.random()}
        mosaic(canvas, _all(canvas), metres, mix, 80 + 400 * rng.random())
    else:
        far.meadow(canvas, _all(canvas), metres)
        far.meadow(canvas, _blobs(canvas, 0.4), metres)
    ground = canvas.labels == GRASSLAND
    far.dots(canvas, ground, FOREST, tone(rng, t.FORESTS), 0.05 * rng.random(), metres)
    if rng.random() < 0.6:
        far.forest(canvas, _blobs(canvas, 0.03 + 0.25 * rng.random()), metres)
    _roads(canvas, metres, 2)
    _shade(canvas, 0.08 * rng.random(), metres)


def woodland(canvas: Canvas, metres: float) -> None:
    """Forest of one or several stands over flat or hilly ground, with clearings and tracks."""
    rng = canvas.rng
    far.forest(canvas, _all(canvas), metres)
    for _ in range(int(rng.integers(0, 3))):
        far.forest(canvas, _blobs(canvas, 0.2 + 0.4 * rng.random()), metres)
    if rng.random() < 0.5:
        far.meadow(canvas, _blobs(canvas, 0.02 + 0.15 * rng.random()), metres)
    if rng.random() < 0.3:  # felled lots
        mix = {FOREST: 5.0, BARE_SOIL: 1.0, GRASSLAND: 0.7}
        mosaic(canvas, _blobs(canvas, 0.5), metres, mix, 150 + 300 * rng.random())
    if rng.random() < 0.25:
        _lakes(canvas, metres, 0.02 + 0.1 * rng.random())
    _roads(canvas, metres, 2)
    _shade(canvas, 0.3 * rng.random() ** 1.5, metres)


def towns(canvas: Canvas, metres: float) -> None:
    """A town, its works and parks, at times with a river and fields around it."""
    rng = canvas.rng
    if rng.random() < 0.5:
        mix = {CROPLAND: 1.0, GRASSLAND: 0.6, FOREST: 0.4}
        mosaic(canvas, _all(canvas), metres, mix, 100 + 200 * rng.random())
        where = _blobs(canvas, 0.4 + 0.4 * rng.random())
    else:
        where = _all(canvas)
    town(canvas, where, metres, float(rng.random()), bool(rng.random() < 0.4))
    other = _blobs(canvas, 0.5) & where
    town(canvas, other, metres, float(rng.random()), bool(rng.random() < 0.4))
    works(canvas, _blobs(canvas, 0.25 * rng.random() + 0.01) & where, metres)
    if rng.random() < 0.5:
        far.forest(canvas, _blobs(canvas, 0.02 + 0.08 * rng.random()), metres)
    if rng.random() < 0.35:
        _river(canvas, metres)
    _roads(canvas, metres, 5)


def industry(canvas: Canvas, metres: float) -> None:
    """Works and depots with the edge of a town or fields."""
    rng = canvas.rng
    if rng.random() < 0.5:
        town(canvas, _all(canvas), metres, float(rng.random()), False)
    else:
        mix = {CROPLAND: 1.0, GRASSLAND: 0.6, FOREST: 0.3}
        mosaic(canvas, _all(canvas), metres, mix, 100 + 200 * rng.random())
    works(canvas, _blobs(canvas, 0.4 + 0.4 * rng.random()), metres)
    _roads(canvas, metres, 4)


def orchards(canvas: Canvas, metres: float) -> None:
    """Vineyards, groves and plantations in small parcels, with greenhouses at times."""
    rng = canvas.rng
    mix = {ORCHARD: 1.0, CROPLAND: 0.4 * rng.random(), GRASSLAND: 0.15 * rng.random()}
    if rng.random() < 0.25:
        mix[GREENHOUSE] = 1.5 * rng.random()
    if rng.random() < 0.15:
        mix[SOLAR] = 0.3 * rng.random()
    mosaic(canvas, _all(canvas), metres, mix, 60 + 250 * rng.random())
    if rng.random() < 0.4:
        far.shrubland(canvas, _blobs(canvas, 0.03 + 0.15 * rng.random()), metres)
    _roads(canvas, metres, 3)
    _shade(canvas, 0.15 * rng.random(), metres)


def irrigated(canvas: Canvas, metres: float) -> None:
    """Round fields, or green parcels in dry land."""
    rng = canvas.rng
    if rng.random() < 0.6:
        pivots(canvas, _all(canvas), metres)
    else:
        far.bare(canvas, _all(canvas), metres)
        mix = {CROPLAND: 1.0, ORCHARD: 0.3 * rng.random()}
        mosaic(canvas, _blobs(canvas, 0.3 + 0.4 * rng.random()), metres, mix, 150.0)
    _roads(canvas, metres, 3)


def paddies(canvas: Canvas, metres: float) -> None:
    """Small fields, part of them under water, along a muddy river."""
    rng = canvas.rng
    mix = {CROPLAND: 1.0, WATER: 0.1 + 0.8 * rng.random()}
    mosaic(canvas, _all(canvas), metres, mix, 50 + 150 * rng.random())
    if rng.random() < 0.4:  # a flood across fields
        far.water(canvas, _blobs(canvas, 0.1 + 0.3 * rng.random()), metres)
    if rng.random() < 0.6:
        _river(canvas, metres)
    if rng.random() < 0.5:
        _villages(canvas, metres, 0.02 + 0.05 * rng.random())
    _roads(canvas, metres, 2)


def terraces(canvas: Canvas, metres: float) -> None:
    """Fields in steps along the contours of hills, under water in part, with woods above."""
    rng, shape = canvas.rng, far.whole(canvas)
    height = value_noise(rng, shape, 90 + 90 * rng.random())
    height += value_noise(rng, shape, 40.0) * np.float32(0.3)
    steps = height * np.float32((6 + 14 * rng.random()) / max(1.0, (metres / 8) ** 0.5))
    number = np.floor(steps).astype(np.int32)
    # Walls across the steps part the fields of one step.
    across = canvas.axes(canvas.whole(), np.pi * rng.random())[0] / np.float32(30)
    field = (number * 37 + np.floor(across + number * 0.37).astype(np.int32) * 11) & 255
    colours = tones(rng, t.GREEN_CROPS if rng.random() < 0.6 else t.BARE_CROPS, 256)
    wet = rng.random(256) < 0.5 * rng.random()
    colours[wet] = tone(rng, t.WATER_TONES[3:8])
    wall = np.clip(np.minimum(steps - number, number + 1 - steps) * 6, 0.6, 1)
    canvas.labels[:] = np.where(wet[field], WATER, CROPLAND)
    for band in range(4):
        canvas.refl[band] = colours[field, band] * wall
    far.forest(canvas, far.share(height + far.rough(canvas, 3) * 0.2, 0.4 * rng.random()), metres)
    if rng.random() < 0.5:
        _villages(canvas, metres, 0.02 + 0.04 * rng.random())
    _roads(canvas, metres, 2)
    _shade(canvas, 0.2 * rng.random(), metres)


def _lakes(canvas: Canvas, metres: float, part: float) -> None:
    lie = far.broad(canvas, 70 + 120 * canvas.rng.random())
    level = np.quantile(lie[::4, ::4], 1 - part)
    shore = (lie - level) * np.float32(25)
    if canvas.rng.random() < 0.4:
        far.sand(canvas, shore > -3, metres)
    far.water(canvas, shore > 0, metres, shore)


def lakes(canvas: Canvas, metres: float) -> None:
    """Lakes among woods, meadows or bare ground."""
    rng = canvas.rng
    ground = (far.forest, far.meadow, far.bare, far.shrubland, far.wetland)
    for painter in rng.permutation(len(ground))[:2]:
        ground[painter](canvas, _blobs(canvas, 0.6) | (canvas.labels == 0), metres)
    _shade(canvas, 0.2 * rng.random(), metres)
    _lakes(canvas, metres, 0.15 + 0.5 * rng.random())
    _roads(canvas, metres, 1)


def rivers(canvas: Canvas, metres: float) -> None:
    """One or several broad rivers through fields, woods or wetland."""
    rng = canvas.rng
    if rng.random() < 0.5:
        mix = {CROPLAND: 1.0, GRASSLAND: 0.7, FOREST: 0.6}
        mosaic(canvas, _all(canvas), metres, mix, 100 + 300 * rng.random())
    else:
        far.forest(canvas, _all(canvas), metres)
        far.wetland(canvas, _blobs(canvas, 0.5 * rng.random() + 0.01), metres)
    for _ in range(int(rng.integers(1, 4))):
        _river(canvas, metres, max(1.5, (20 + 400 * rng.random() ** 2) / metres))
    if rng.random() < 0.4:
        _villages(canvas, metres, 0.03 + 0.1 * rng.random())
    _roads(canvas, metres, 2)


def sea(canvas: Canvas, metres: float) -> None:
    """Open water and nothing else, or a small island."""
    far.water(canvas, _all(canvas), metres)
    if canvas.rng.random() < 0.3:
        far.rock(canvas, _blobs(canvas, 0.01 + 0.03 * canvas.rng.random()), metres)
    if canvas.rng.random() < 0.3:
        far.white_caps(canvas, _all(canvas), 0.004 + 0.02 * canvas.rng.random())


def shore(canvas: Canvas, metres: float) -> None:
    """Sea with lines of surf, wet and dry sand, dunes, and land behind."""
    rng = canvas.rng
    ground: tuple[Recipe, ...] = (scrub, woodland, desert, grassland, fields, towns, pastures)
    ground[int(rng.integers(len(ground) if metres >= 2 else 4))](canvas, metres)
    curve = _curve(canvas, 0.6)
    inland = curve.across + far.rough(canvas, 4) * np.float32(2 + 10 * rng.random() ** 2)
    beach = np.float32(max(1.0, (15 + 150 * rng.random() ** 2) / metres))
    dunes = np.float32((120 * rng.random() ** 2) / metres)
    far.shrubland(canvas, (inland > 0) & (inland < beach + dunes), metres)
    if rng.random() < 0.85:
        far.sand(canvas, (inland > 0) & (inland < beach), metres)
    else:
        far.rock(canvas, (inland > 0) & (inland < beach), metres)
    wet = np.clip(1 - inland / (beach * np.float32(0.2 + 0.5 * rng.random())), 0, 1)
    wet = wet * ((inland > 0) & (inland < beach))
    under = canvas.refl * np.float32(0.35 + 0.3 * rng.random())
    canvas.refl += (under - canvas.refl) * wet
    far.water(canvas, inland <= 0, metres, -inland)
    far.surf(canvas, inland, metres)
    if rng.random() < 0.3:
        far.white_caps(canvas, inland < -3, 0.005)


def desert(canvas: Canvas, metres: float) -> None:
    """Dunes, gravel plains and rock, with dry river beds."""
    rng = canvas.rng
    kind = rng.random()
    (far.sand if kind < 0.55 else far.bare)(canvas, _all(canvas), metres)
    if rng.random() < 0.5:
        far.rock(canvas, _blobs(canvas, 0.1 + 0.4 * rng.random()), metres)
    if rng.random() < 0.4:
        far.bare(canvas, _blobs(canvas, 0.1 + 0.4 * rng.random()), metres)
    if rng.random() < 0.5:
        curve = _curve(canvas, 1.5)
        bed = np.abs(curve.across) < max(1.0, 60 * rng.random() / metres)
        far.sand(canvas, bed, metres)
    ground = canvas.labels != SAND
    far.dots(canvas, ground, int(canvas.labels[0, 0]), tone(rng, t.SHRUBS), 0.08 * rng.random(), 30)
    if rng.random() < 0.15:
        _villages(canvas, metres, 0.02 + 0.05 * rng.random())
    _roads(canvas, metres, 1)
    _shade(canvas, 0.25 * rng.random() ** 2, metres)


def mountains(canvas: Canvas, metres: float) -> None:
    """Ridges in the sun: rock, snow above, woods and meadows below."""
    rng = canvas.rng
    height = far.broad(canvas, 140.0)
    (far.meadow if rng.random() < 0.5 else far.shrubland)(canvas, _all(canvas), metres)
    ragged = height + far.rough(canvas, 3) * np.float32(0.3)
    bare = 0.1 + 0.6 * rng.random()
    far.forest(canvas, ~far.share(height, bare + 0.3 * rng.random()), metres)
    far.rock(canvas, far.share(ragged, bare), metres)
    if rng.random() < 0.7:
        far.snow(canvas, far.share(ragged, bare * (0.2 + 0.9 * rng.random())), metres)
    if rng.random() < 0.25:
        _lakes(canvas, metres, 0.01 + 0.04 * rng.random())
    _roads(canvas, metres, 1)
    _shade(canvas, 0.15 + 0.35 * rng.random(), metres)


def scrub(canvas: Canvas, metres: float) -> None:
    """Shrubland, savanna or heath with dry grass, bare spots and single trees."""
    rng = canvas.rng
    far.shrubland(canvas, _all(canvas), metres)
    far.shrubland(canvas, _blobs(canvas, 0.4), metres)
    if rng.random() < 0.6:
        far.meadow(canvas, _blobs(canvas, 0.1 + 0.4 * rng.random()), metres)
    if rng.random() < 0.5:
        far.bare(canvas, _blobs(canvas, 0.05 + 0.2 * rng.random()), metres)
    if rng.random() < 0.3:
        far.forest(canvas, _blobs(canvas, 0.05 + 0.2 * rng.random()), metres)
    _roads(canvas, metres, 2)
    _shade(canvas, 0.3 * rng.random() ** 1.5, metres)


def grassland(canvas: Canvas, metres: float) -> None:
    """Open grassland, green or dry, over hills, with gullies and few trees."""
    rng = canvas.rng
    far.meadow(canvas, _all(canvas), metres)
    for _ in range(int(rng.integers(1, 4))):
        far.meadow(canvas, _blobs(canvas, 0.2 + 0.4 * rng.random()), metres)
    if rng.random() < 0.3:
        far.bare(canvas, _blobs(canvas, 0.02 + 0.1 * rng.random()), metres)
    if rng.random() < 0.3:
        far.shrubland(canvas, _blobs(canvas, 0.02 + 0.15 * rng.random()), metres)
    _roads(canvas, metres, 2)
    _shade(canvas, 0.35 * rng.random(), metres)


def marsh(canvas: Canvas, metres: float) -> None:
    """Wetland with creeks and pools beside open water, meadows or woods."""
    rng = canvas.rng
    (far.meadow if rng.random() < 0.5 else far.forest)(canvas, _all(canvas), metres)
    far.wetland(canvas, _blobs(canvas, 0.5 + 0.5 * rng.random()), metres)
    if rng.random() < 0.6:
        _lakes(canvas, metres, 0.05 + 0.3 * rng.random())
    if rng.random() < 0.4:
        _river(canvas, metres)


def fire(canvas: Canvas, metres: float) -> None:
    """Burnt woods, shrubland or fields."""
    rng = canvas.rng
    ground: tuple[Recipe, ...] = (woodland, scrub, grassland, fields)
    ground[int(rng.integers(len(ground)))](canvas, metres)
    shade = far.relief(canvas, 0.2 * rng.random())
    far.burnt(canvas, _blobs(canvas, 0.2 + 0.5 * rng.random()), metres)
    canvas.refl *= shade


def _shade(canvas: Canvas, strength: float, metres: float) -> None:
    """Hills in the sun over everything but water; gentle where pixels are small."""
    strength *= min(1.0, metres / 3)
    if strength > 0.02:
        shade = far.relief(canvas, strength, 60 + 160 * canvas.rng.random())
        canvas.refl *= np.where(canvas.labels == WATER, np.float32(1), shade)


LANDSCAPES: Mapping[str, tuple[Recipe, float]] = {
    "fields": (fields, 2.0),
    "pastures": (pastures, 1.2),
    "woodland": (woodland, 1.5),
    "towns": (towns, 2.0),
    "industry": (industry, 0.9),
    "groves": (orchards, 1.0),
    "irrigated": (irrigated, 0.6),
    "paddies": (paddies, 0.6),
    "terraces": (terraces, 0.4),
    "lakes": (lakes, 0.8),
    "rivers": (rivers, 1.0),
    "sea": (sea, 0.4),
    "shore": (shore, 1.4),
    "desert": (desert, 0.8),
    "mountains": (mountains, 1.5),
    "scrub": (scrub, 0.8),
    "steppe": (grassland, 0.8),
    "marsh": (marsh, 0.8),
    "fire": (fire, 0.9),
}
NATURAL = frozenset(
    ("woodland", "lakes", "sea", "shore", "desert", "mountains", "scrub", "steppe", "marsh")
)
"""Kinds without much that people made: they are drawn down to 0.4 m."""
