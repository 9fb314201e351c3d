"""Scenes of every landscape and pixel size from 0.1 to 30 m, for training."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rsclip.nano.scenes.canvas import Canvas
from rsclip.nano.scenes.draw_ground import draw_base
from rsclip.nano.scenes.draw_trees import paint_trees
from rsclip.nano.scenes.landscapes import LANDSCAPES, NATURAL
from rsclip.nano.scenes.light import cast_shadows
from rsclip.nano.scenes.near import NEAR, dull, span
from rsclip.nano.scenes.palette import Palette
from rsclip.nano.scenes.scene import SyntheticScene
from rsclip.nano.scenes.sky import add_clouds, picture

COARSEST, FINEST_BUILT, FINEST_NATURAL = 30.0, 2.0, 0.4
VARIED_KINDS: tuple[str, ...] = (*LANDSCAPES, *NEAR)
_NEAR_SHARE, _CLOUDY, _DULL = 0.35, 0.12, 0.8


def _draw(rng: np.random.Generator, table: Mapping[str, tuple[Any, float]]) -> str:
    """A key of the table by its weight."""
    weights = np.array([weight for _, weight in table.values()])
    return list(table)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def gsd_span(kind: str) -> tuple[float, float]:
    """The smallest and largest pixel, in metres, at which a kind is drawn."""
    if kind in NEAR:
        return span(kind)
    return (FINEST_NATURAL if kind in NATURAL else FINEST_BUILT), COARSEST


def generate_varied(
    seed: int,
    shape: tuple[int, int] = (512, 512),
    *,
    kind: str | None = None,
    gsd: float | None = None,
) -> SyntheticScene:
    """A varied scene of a seed: the same arguments give the same scene.

    `shape` is rows and columns, `kind` one of VARIED_KINDS and `gsd` metres per pixel, within
    `gsd_span`; both are drawn from the seed when None. Labels are 1..20, one more than the index
    into CLASSES and then MORE_CLASSES; 0 where a pixel holds several classes. The image is uint8.

    Raises:
        ValueError: The kind is unknown, or the pixel size or shape out of range.
    """
    if kind is not None and kind not in VARIED_KINDS:
        raise ValueError(f"unknown kind {kind!r}; one of: {', '.join(VARIED_KINDS)}")
    rng = np.random.Generator(np.random.PCG64(seed))
    near = rng.random() < _NEAR_SHARE
    drawn = _draw(rng, NEAR if near else LANDSCAPES)
    name = kind or drawn
    low, high = gsd_span(name)
    drawn_gsd = low * float(np.exp(np.log(high / low) * rng.random()))
    metres = gsd or drawn_gsd
    if min(shape) < 1 or not low <= metres <= high:
        raise ValueError(
            f"shape {shape} must be positive, and gsd {metres} from {low:g} to {high:g} for {name}"
        )
    palette = Palette.draw(rng)
    if name in NEAR:
        palette = dull(rng, palette) if rng.random() < _DULL else palette
        canvas = Canvas.blank(rng, palette, shape, metres)
        draw_base(canvas)
        NEAR[name][0](canvas)
        paint_trees(canvas)
        cast_shadows(canvas, 0.4 + 0.35 * rng.random())
    else:
        canvas = Canvas.blank(rng, palette, shape, 1.0)
        LANDSCAPES[name][0](canvas, metres)
        if rng.random() < _CLOUDY:
            add_clouds(canvas)
    noise = canvas.bank.white[: shape[0], : shape[1]]
    image = picture(rng, np.clip(canvas.refl[:3], 0.005, 1), noise)
    return SyntheticScene(image, canvas.labels, np.ones(shape, np.bool_), name)
