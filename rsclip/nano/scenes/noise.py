"""Random fields and periodic functions that give the same bytes on every processor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
# What painters work out on the way: numpy widens mixed sums to float64.
Field = npt.NDArray[np.floating[Any]]

_STEPS = 4096
# A table, because sin() may differ in its last bit between processors' vector units.
_SINE: Array = np.sin(np.arange(_STEPS) * (2 * np.pi / _STEPS)).astype(np.float32)

# Grain sizes of the shared fields, in metres.
SCALES = (1.2, 3.0, 8.0, 22.0, 60.0)


def wave(turns: Field | float) -> Array:
    """Sine of an angle given in turns; float32, -1..1, any shape."""
    steps = np.asarray(turns, dtype=np.float32) * np.float32(_STEPS)
    found: Array = _SINE[np.floor(steps).astype(np.int32) & (_STEPS - 1)]
    return found


def saw(turns: Field) -> Field:
    """Fractional part of each value; 0..1, of the values' own type."""
    part: Field = turns - np.floor(turns)
    return part


def value_noise(rng: np.random.Generator, shape: tuple[int, int], step: float) -> Array:
    """Smooth random field (H, W) float32, mean 0, deviation about 1, grain `step` pixels."""
    if step <= 1.0:
        return rng.standard_normal(shape, dtype=np.float32)

    def axis(size: int) -> tuple[npt.NDArray[np.intp], Array, int]:
        place = np.arange(size, dtype=np.float32) / np.float32(step) + np.float32(rng.random())
        first = place.astype(np.intp)
        part = place - first.astype(np.float32)
        return first, part * part * (3 - 2 * part), int(first[-1]) + 2

    row, row_part, rows = axis(shape[0])
    col, col_part, cols = axis(shape[1])
    knots = rng.standard_normal((rows, cols), dtype=np.float32)
    tall = knots[row] + (knots[row + 1] - knots[row]) * row_part[:, None]
    slope = np.diff(tall, axis=1)
    # 1.35 undoes the loss of deviation between the knots.
    return (np.take(tall, col, axis=1) + np.take(slope, col, axis=1) * col_part) * np.float32(1.35)


@dataclass(frozen=True)
class NoiseBank:
    """One field for each entry of SCALES and one of white noise, cut up by every painter."""

    white: Array
    fields: tuple[Array, ...]

    @classmethod
    def make(cls, rng: np.random.Generator, shape: tuple[int, int], gsd: float) -> "NoiseBank":
        """Fields a little larger than `shape` (H, W), so that cuts of the whole scene differ."""
        size = (shape[0] + 48, shape[1] + 48)
        white = rng.standard_normal(size, dtype=np.float32)
        return cls(white, tuple(value_noise(rng, size, scale / gsd) for scale in SCALES))

    def cut(self, rng: np.random.Generator, scale: int, shape: tuple[int, int]) -> Array:
        """A random (h, w) cut of field number `scale` (-1: white); do not write to it."""
        field = self.white if scale < 0 else self.fields[scale]
        row = int(rng.integers(0, field.shape[0] - shape[0] + 1))
        col = int(rng.integers(0, field.shape[1] - shape[1] + 1))
        return field[row : row + shape[0], col : col + shape[1]]
