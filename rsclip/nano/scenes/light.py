"""Cast shadows from the height field."""

import numpy as np
from scipy import ndimage

from rsclip.nano.scenes.canvas import Canvas
from rsclip.nano.scenes.noise import Array


def _shifted(field: Array, rows: int, cols: int) -> Array:
    """The field (H, W) moved down and right by whole pixels, zeros coming in."""
    tall, wide = field.shape
    out = np.zeros_like(field)
    if abs(rows) >= tall or abs(cols) >= wide:
        return out
    out[max(0, rows) : tall + min(0, rows), max(0, cols) : wide + min(0, cols)] = field[
        max(0, -rows) : tall - max(0, rows), max(0, -cols) : wide - max(0, cols)
    ]
    return out


def cast_shadows(canvas: Canvas, depth: float) -> None:
    """Darken what lies behind higher things, seen from the sun; labels stay as they are."""
    sun = canvas.palette.sun
    level = np.sqrt(sun[0] ** 2 + sun[1] ** 2)
    drop = canvas.gsd * sun[2] / level  # metres the shadow's roof falls over one pixel
    top = float(canvas.height.max())
    if top <= 0:
        return
    roof = canvas.height
    step = 1
    # Doubling the shift each time sweeps all distances up to the longest shadow.
    while step * drop < top:
        moved = _shifted(roof, round(-sun[1] / level * step), round(-sun[0] / level * step))
        roof = np.maximum(roof, moved - np.float32(step * drop))
        step *= 2
    dark = np.clip((roof - canvas.height - np.float32(0.3)) * 2, 0, 1)
    dark = ndimage.uniform_filter(dark, 3, mode="nearest")
    tint = (1.0, 0.97, 0.86, 1.0)  # the sky lights shadows, so blue loses least
    for band in range(4):
        canvas.refl[band] *= 1 - dark * np.float32(depth * tint[band])
