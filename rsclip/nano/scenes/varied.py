"""Scenes of every landscape and pixel size from 0.3 to 30 m, for training."""

import numpy as np

from rsclip.nano.scenes.canvas import Canvas
from rsclip.nano.scenes.landscapes import LANDSCAPES
from rsclip.nano.scenes.palette import Palette
from rsclip.nano.scenes.scene import SyntheticScene
from rsclip.nano.scenes.sky import add_clouds, picture

COARSEST, FINEST_FAR = 30.0, 2.0
_CLOUDY = 0.12


def generate_varied(
    seed: int,
    shape: tuple[int, int] = (512, 512),
    *,
    kind: str | None = None,
    gsd: float | None = None,
) -> SyntheticScene:
    """A varied scene of a seed: the same arguments give the same scene.

    `shape` is rows and columns, `kind` one of LANDSCAPES and `gsd` metres per pixel, 2 to 30; both
    are drawn from the seed when None. Labels are 1..20, one more than the index into CLASSES and
    then MORE_CLASSES; 0 where a pixel holds several classes. The image is uint8.

    Raises:
        ValueError: The kind is unknown, or the pixel size or shape out of range.
    """
    if kind is not None and kind not in LANDSCAPES:
        raise ValueError(f"unknown kind {kind!r}; one of: {', '.join(LANDSCAPES)}")
    if min(shape) < 1 or not (gsd is None or FINEST_FAR <= gsd <= COARSEST):
        raise ValueError(f"shape {shape} must be positive and gsd {gsd} from 2 to 30")
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = np.array([weight for _, weight in LANDSCAPES.values()])
    drawn = list(LANDSCAPES)[int(rng.choice(len(weights), p=weights / weights.sum()))]
    span = np.log(COARSEST / FINEST_FAR)
    drawn_gsd = FINEST_FAR * float(np.exp(span * rng.random()))
    name, metres = kind or drawn, gsd or drawn_gsd
    canvas = Canvas.blank(rng, Palette.draw(rng), shape, 1.0)
    LANDSCAPES[name][0](canvas, metres)
    if rng.random() < _CLOUDY:
        add_clouds(canvas)
    noise = canvas.bank.white[: shape[0], : shape[1]]
    image = picture(rng, np.clip(canvas.refl[:3], 0.005, 1), noise)
    return SyntheticScene(image, canvas.labels, np.ones(shape, np.bool_), name)
