"""Natural ground as it looks at 0.4 to 30 m a pixel: textures over masks of the whole canvas.

The canvases here are measured in pixels (`Canvas.gsd` 1); `metres` is the size of a pixel.
"""

import numpy as np

from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas, Mask
from rsclip.nano.scenes.classes import (
    BARE_SOIL,
    BURNT,
    FOREST,
    GRASSLAND,
    ROCK,
    SAND,
    SHRUBLAND,
    SNOW,
    WATER,
    WETLAND,
)
from rsclip.nano.scenes.layout import Frame
from rsclip.nano.scenes.noise import SCALES, Array, saw, value_noise, wave
from rsclip.nano.scenes.palette import Colour
from rsclip.nano.scenes.tones import tone

UNKNOWN = 0
"""Label of pixels that hold too much of several classes; training ignores them."""


def whole(canvas: Canvas) -> tuple[int, int]:
    """Rows and columns of the canvas."""
    return (canvas.labels.shape[0], canvas.labels.shape[1])


def rough(canvas: Canvas, top: int = 4) -> Array:
    """Noise whose largest grain is field `top` of the bank, half as strong at each finer one."""
    shape = whole(canvas)
    total = canvas.cut(top, shape).copy()
    for step, scale in enumerate(range(top - 1, -1, -1), start=1):
        total += canvas.cut(scale, shape) * np.float32(0.5**step)
    return total


def broad(canvas: Canvas, grain: float = 150.0) -> Array:
    """Noise of a grain larger than the bank's, with finer noise in it."""
    field = value_noise(canvas.rng, whole(canvas), grain)
    return field + rough(canvas) * np.float32(0.4)


def share(field: Array, part: float) -> Mask:
    """True in the highest `part` (0..1) of the field."""
    return field > np.quantile(field[::4, ::4], 1 - part)


def cover(canvas: Canvas, mask: Mask, label: int, colour: Colour, shade: Array) -> None:
    """Paint the mask's pixels of the whole canvas."""
    canvas.fill(canvas.whole().only(mask), label, colour, shade)


def grain_of(canvas: Canvas, size: float, metres: float) -> int:
    """Number of the bank's field whose grain is nearest to `size` metres."""
    pixels = size / metres
    return int(np.argmin([abs(np.log(scale / pixels)) for scale in SCALES]))


def emboss(canvas: Canvas, field: Array, reach: float = 1.5) -> Array:
    """Light on the field's bumps from the sun's side, about -1..1; `reach` in pixels."""
    sun = canvas.palette.sun
    step = (round(sun[1] * reach), round(sun[0] * reach))
    if step == (0, 0):
        step = (1, 0)
    lit: Array = field - np.roll(field, step, (0, 1))
    return lit


def relief(canvas: Canvas, strength: float, grain: float = 150.0) -> Array:
    """Brightness (H, W) of slopes in the sun and away from it, around 1."""
    rng, (rows, cols) = canvas.rng, whole(canvas)
    shape = (max(2, rows), max(2, cols))  # a slope needs two pixels
    height = np.zeros(shape, np.float32)
    weight, sharp = np.float32(1), bool(rng.random() < 0.7)
    while grain >= 5:
        octave = value_noise(rng, shape, grain)
        # Sharp ridges and round valleys, each octave half as high as the one before.
        height += weight * (1 - np.abs(octave) if sharp else octave)
        weight, grain = weight * np.float32(0.45), grain * 0.47
    down, right = np.gradient(height)
    sun = canvas.palette.sun
    lit = -(right * np.float32(sun[0]) + down * np.float32(sun[1]))
    lit /= np.float32(lit[::4, ::4].std() + 1e-6)
    shade: Array = np.clip(1 + np.float32(strength) * lit[:rows, :cols], 0.3, 1.9)
    return shade


def forest(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Canopy: crowns at 2 m, grain at 10 m, nearly even at 30 m; stands differ in colour."""
    rng, shape = canvas.rng, whole(canvas)
    crown = grain_of(canvas, 3 + 5 * rng.random(), metres)
    grain = np.float32(min(0.35, 0.015 + (0.05 + 0.7 / metres) * rng.random()))
    bumps = canvas.cut(crown, shape) + canvas.cut(max(0, crown - 1), shape) * np.float32(0.6)
    shade = 1 + emboss(canvas, bumps, 1.2 if crown == 0 else SCALES[crown] / 2.5) * grain
    shade += bumps * (grain * np.float32(0.4)) + canvas.cut(0, shape) * (grain * np.float32(0.4))
    uneven = np.float32(0.06 * rng.random())
    shade += canvas.cut(2, shape) * uneven + canvas.cut(3, shape) * uneven
    cover(canvas, mask, FOREST, tone(rng, t.FORESTS), np.maximum(shade, np.float32(0.25)))
    stand = np.clip(rough(canvas, 3) * 1.5, 0, 1) * np.float32(0.7 * rng.random())
    for _ in range(1 if metres > 4 else 2):
        other = np.clip(canvas.cut(crown, shape) * 0.6 + stand, 0, 1) * mask
        weight = other * np.float32(0.6 * rng.random()) * np.clip(shade, 0.5, 1)
        canvas.blend(canvas.whole(), tone(rng, t.FORESTS), weight)


def meadow(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Grass: even, with broad changes of colour and a few trees."""
    rng, shape = canvas.rng, whole(canvas)
    shade = 1 + canvas.cut(0, shape) * np.float32(0.02 + 0.03 * rng.random())
    shade += canvas.cut(3, shape) * np.float32(0.06) + canvas.cut(2, shape) * np.float32(0.03)
    cover(canvas, mask, GRASSLAND, tone(rng, t.MEADOWS), shade)
    dry = np.clip(rough(canvas) * 0.6, 0, 1) * mask
    canvas.blend(canvas.whole(), tone(rng, t.MEADOWS), dry)
    if rng.random() < 0.35:  # paths and gullies
        path = np.clip(1 - np.abs(broad(canvas, 80.0)) * 14, 0, 1) * mask
        canvas.blend(canvas.whole(), tone(rng, t.DIRT), path * np.float32(0.6))
    dots(canvas, mask, FOREST, tone(rng, t.FORESTS), 0.02 * rng.random() ** 2, metres)


def dots(
    canvas: Canvas, mask: Mask, label: int, colour: Colour, part: float, metres: float
) -> None:
    """Single trees or bushes on a share of the mask; they keep the ground's label when small."""
    grain = grain_of(canvas, 5.0, metres)
    where = share(canvas.cut(grain, whole(canvas)), max(part, 1e-4)) & mask
    canvas.blend(canvas.whole(), colour, where * np.float32(0.8))
    if metres < 4:
        canvas.labels[where] = label


def speckled(
    canvas: Canvas,
    mask: Mask,
    label: int,
    colours: tuple[Colour, Colour],
    part: float,
    metres: float,
) -> None:
    """Ground of the first colour with tufts or bushes of the second on about `part` of it."""
    shape, (ground, plants) = whole(canvas), colours
    bush = grain_of(canvas, 1.0 + 3 * canvas.rng.random(), metres)
    shade = 1 + rough(canvas, 3) * np.float32(0.06) + canvas.cut(-1, shape) * np.float32(0.04)
    cover(canvas, mask, label, ground, shade)
    lie = canvas.cut(bush, shape) * 0.8 + canvas.cut(1, shape) * 0.5 + rough(canvas, 4) * 0.5
    level = np.quantile(lie[::4, ::4], 1 - part)
    weight = np.clip((lie - level) * 2, 0, 1) * mask
    canvas.blend(canvas.whole(), plants, weight)
    if metres < 3:
        lit = emboss(canvas, weight, 1.0 / metres)
        canvas.refl *= np.where(mask, np.clip(1 + lit * np.float32(0.25), 0.4, 1.4), 1)


def shrubland(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Bushes over dry ground or grass."""
    rng = canvas.rng
    ground = tone(rng, t.DIRT if rng.random() < 0.5 else t.MEADOWS[3:])
    part = 0.25 + 0.6 * rng.random()
    speckled(canvas, mask, SHRUBLAND, (ground, tone(rng, t.SHRUBS)), part, metres)


def bare(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Dirt with gullies and lighter and darker spots."""
    rng, shape = canvas.rng, whole(canvas)
    shade = 1 + rough(canvas, 4) * np.float32(0.10) + canvas.cut(-1, shape) * np.float32(0.03)
    cover(canvas, mask, BARE_SOIL, tone(rng, t.DIRT), shade)
    gully = np.clip(1 - np.abs(rough(canvas, 3)) * 9, 0, 1) * mask
    canvas.blend(canvas.whole(), tone(rng, t.DIRT), gully * np.float32(0.7 * rng.random()))


def rock(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Bare rock: rough, in bands and cracks."""
    rng, shape = canvas.rng, whole(canvas)
    bands = wave(rough(canvas, 4) * np.float32(0.8 + 1.2 * rng.random()))
    shade = 1 + bands * np.float32(0.08) + emboss(canvas, rough(canvas, 2)) * np.float32(0.16)
    shade += canvas.cut(-1, shape) * np.float32(0.04)
    cover(canvas, mask, ROCK, tone(rng, t.ROCKS), shade)


def snow(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Snow or ice with soft bumps."""
    rng = canvas.rng
    shade = 1 + emboss(canvas, rough(canvas, 3)) * np.float32(0.04)
    cover(canvas, mask, SNOW, tone(rng, t.SNOWS[:2], 0.06), shade)
    if rng.random() < 0.4:
        ice = np.clip(rough(canvas, 4), 0, 1) * mask
        canvas.blend(canvas.whole(), tone(rng, t.SNOWS[2:], 0.1), ice * np.float32(0.7))


def sand(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Sand with the crests of dunes at times."""
    rng, shape = canvas.rng, whole(canvas)
    shade = 1 + canvas.cut(0, shape) * np.float32(0.025) + canvas.cut(4, shape) * np.float32(0.05)
    if rng.random() < 0.6:
        frame = Frame.draw(canvas, 20.0 * rng.random(), 150.0 + 200 * rng.random())
        along = frame.local(canvas)[0] + canvas.cut(3, shape) * np.float32(3.0)
        along = along + canvas.cut(4, shape) * np.float32(10.0)
        dune = saw(along / np.float32(6 + 30 * rng.random()))
        height = np.where(dune < 0.75, dune / 0.75, (1 - dune) * 4) - 0.5
        shade = shade + height * np.float32(0.1 + 0.25 * rng.random())
    cover(canvas, mask, SAND, tone(rng, t.SAND_TONES), shade.astype(np.float32))


def water(canvas: Canvas, mask: Mask, metres: float, shore: Array | None = None) -> None:
    """Nearly even water: plumes of sediment, swell, glint, light shallows along `shore` pixels."""
    rng, shape = canvas.rng, whole(canvas)
    body = tone(rng, t.WATER_TONES, 0.25)
    shade = 1 + canvas.cut(-1, shape) * np.float32(0.003 + 0.03 * rng.random() ** 4)
    if rng.random() < 0.3:
        fetch, side = canvas.axes(canvas.whole(), canvas.palette.wind_angle)
        bent = fetch + canvas.cut(3, shape) * np.float32(1.2)
        swell = wave(bent / np.float32(3 + 9 * rng.random()) + side / np.float32(60))
        shade += (
            swell
            * np.clip(0.6 + 0.5 * canvas.cut(4, shape), 0, 1.5)
            * np.float32(0.02 + 0.10 * rng.random())
        )
    cover(canvas, mask, WATER, body, shade)
    if rng.random() < 0.5:
        plume = np.clip(rough(canvas) * 0.5 + np.float32(rng.normal() * 0.3), 0, 1) * mask
        canvas.blend(canvas.whole(), tone(rng, t.WATER_TONES, 0.25), plume * np.float32(0.8))
    if shore is not None and rng.random() < 0.7:
        shallow = np.clip(1 - shore / np.float32(3 + 40 * rng.random() ** 2), 0, 1) * mask
        canvas.blend(
            canvas.whole(), tone(rng, t.WATER_TONES[4:]), shallow * np.float32(0.8 * rng.random())
        )
    if rng.random() < 0.12:
        canvas.blend(
            canvas.whole(),
            tone(rng, t.WATER_TONES[-1:]),
            np.clip(0.4 + 0.4 * broad(canvas), 0, 1) * mask,
        )


def white_caps(canvas: Canvas, mask: Mask, part: float) -> None:
    """White caps on a small share of the water."""
    shape = whole(canvas)
    caps = share(canvas.cut(0, shape) + canvas.cut(3, shape) * np.float32(0.5), part)
    weight = (caps & mask) * np.float32(0.1 + 0.4 * canvas.rng.random())
    canvas.blend(canvas.whole(), np.array(t.FOAM, np.float32), weight)


def surf(canvas: Canvas, inland: Array, metres: float) -> None:
    """Broken lines and sheets of foam along the shore, like lace where pixels are small."""
    rng, shape = canvas.rng, whole(canvas)
    reach = np.float32(max(1.5, (10 + 250 * rng.random() ** 2) / metres))
    lines = int(rng.integers(0, 5))
    foam = np.zeros(shape, np.float32)
    coarse = grain_of(canvas, 4.0, metres)
    knots = canvas.cut(max(0, coarse - 1), shape) * np.float32(0.5) + canvas.cut(coarse, shape)
    lace = np.clip(1.25 - np.abs(knots) * np.float32(0.5 + 0.8 * rng.random()), 0, 1)
    for number in range(lines):
        middle = -reach * np.float32((number + 0.3 * rng.random()) / max(1, lines))
        width = reach * np.float32(0.08 + 0.3 * rng.random())
        bent = inland - middle + canvas.cut(3, shape) * reach * np.float32(0.12)
        broken = np.clip(canvas.cut(3, shape) * 0.8 + canvas.cut(2, shape) * 0.4 + 0.7, 0, 1)
        foam = np.maximum(foam, np.clip(1.3 - np.abs(bent) / width, 0, 1) * broken)
    if lines and rng.random() < 0.4:
        sheet = np.clip(1 + inland / reach, 0, 1) * np.float32(rng.random())
        foam = np.maximum(foam, sheet)
    weight = foam * lace * (inland < 0.5) * np.float32(0.4 + 0.6 * rng.random())
    canvas.blend(canvas.whole(), np.array(t.FOAM, np.float32), weight)


def wetland(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Marsh: mottled reeds with winding creeks and pools."""
    rng = canvas.rng
    colours = (tone(rng, t.MARSHES), tone(rng, t.MARSHES))
    speckled(canvas, mask, WETLAND, colours, 0.3 + 0.4 * rng.random(), metres)
    pools = share(rough(canvas, 3), 0.02 + 0.16 * rng.random()) & mask
    creeks = (np.abs(broad(canvas, 90.0)) < 0.05 + 0.05 * rng.random()) & mask
    wet = tone(rng, t.WATER_TONES[:7])
    canvas.blend(canvas.whole(), wet, (pools | creeks) * np.float32(0.9))
    canvas.labels[pools | creeks] = WATER


def burnt(canvas: Canvas, mask: Mask, metres: float) -> None:
    """Charred ground, unevenly burnt, with green left in spots."""
    rng, shape = canvas.rng, whole(canvas)
    shade = 1 + rough(canvas, 2) * np.float32(0.12) + canvas.cut(0, shape) * np.float32(0.06)
    cover(canvas, mask, BURNT, tone(rng, t.CHARS), shade)
    ash = np.clip(rough(canvas, 4) * 0.6, 0, 1) * mask
    canvas.blend(canvas.whole(), tone(rng, t.CHARS[2:]), ash)


def line(
    canvas: Canvas, across: Array, half: Array | float, label: int, colour: Colour, least: float
) -> None:
    """A line `half` pixels to each side, thin ones faint; labelled where it fills a pixel."""
    weight = np.clip(half - np.abs(across) + np.float32(0.5), 0, 1)
    canvas.blend(canvas.whole(), colour, weight * np.float32(least))
    canvas.labels[weight > 0.7] = label
    canvas.labels[(weight > 0.3) & (weight <= 0.7)] = UNKNOWN
