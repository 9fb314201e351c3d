"""A labelled aerial scene from a seed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsclip.nano.scenes.canvas import Canvas
from rsclip.nano.scenes.classes import NODATA_LABEL
from rsclip.nano.scenes.draw_ground import draw_base
from rsclip.nano.scenes.draw_trees import paint_trees
from rsclip.nano.scenes.light import cast_shadows
from rsclip.nano.scenes.palette import Palette
from rsclip.nano.scenes.radiometry import sense
from rsclip.nano.scenes.recipes import KINDS, RECIPES, draw_kind


@dataclass(frozen=True)
class SyntheticScene:
    """One scene.

    `image` (C, H, W): bands red, green, blue and, on request, near infrared; uint8 1..255, or
    uint16 1..10000 (reflectance times 10000); 0 in a collar. `labels` (H, W) uint8: 1..14 (one
    more than the index into CLASSES), 255 in a collar. `valid` (H, W) bool: false in a collar.
    """

    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    labels: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    kind: str


def _collar(rng: np.random.Generator, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """False in slanted wedges along one or two adjoining edges, like a swath's border."""
    rows, cols = shape
    y = ((np.arange(rows) + 0.5) / rows)[:, None]
    x = ((np.arange(cols) + 0.5) / cols)[None, :]
    if rng.random() < 0.5:
        x = 1 - x
    if rng.random() < 0.5:
        y = 1 - y
    left, lean = 0.04 + 0.1 * rng.random(), 0.03 + 0.12 * rng.random()
    valid = x > left + lean * (y - 0.5)
    if rng.random() < 0.6:
        valid &= y > 0.03 + 0.08 * rng.random() + lean * (0.5 - x)
    return valid


def generate(
    seed: int,
    shape: tuple[int, int] = (512, 512),
    *,
    kind: str | None = None,
    gsd: float = 0.5,
    infrared: bool = False,
    reflectance: bool = False,
    collar: bool = False,
) -> SyntheticScene:
    """The scene of a seed: the same arguments give the same bytes.

    `shape` is rows and columns, `gsd` metres per pixel. `kind` is one of KINDS, drawn from the
    seed when None. `infrared` adds the fourth band, `reflectance` stores uint16 reflectance
    instead of uint8 with a camera's gain and gamma, `collar` blanks a slanted border; none of
    the three changes what is drawn.
    """
    if kind is not None and kind not in RECIPES:
        raise ValueError(f"unknown kind {kind!r}; one of: {', '.join(KINDS)}")
    if min(shape) < 1 or gsd <= 0:
        raise ValueError(f"shape {shape} and gsd {gsd} must be positive")
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = draw_kind(rng)  # drawn even if not needed, so that a given kind changes nothing else
    name = drawn if kind is None else kind
    valid_rng = np.random.Generator(np.random.PCG64(int(rng.integers(2**62))))
    camera = np.random.Generator(np.random.PCG64(int(rng.integers(2**62))))
    canvas = Canvas.blank(rng, Palette.draw(rng), shape, gsd)
    # Verges and other left-over ground show this base.
    draw_base(canvas)
    RECIPES[name][0](canvas)
    paint_trees(canvas)
    cast_shadows(canvas, 0.45 + 0.25 * camera.random())
    refl = canvas.refl if infrared else canvas.refl[:3]
    noise = canvas.bank.white[: shape[0], : shape[1]]
    image = sense(camera, np.maximum(refl, 0), noise, reflectance)
    labels = canvas.labels
    valid = np.ones(shape, np.bool_)
    if collar:
        valid = _collar(valid_rng, shape)
        image[:, ~valid] = 0
        labels[~valid] = NODATA_LABEL
    return SyntheticScene(image, labels, valid, name)
