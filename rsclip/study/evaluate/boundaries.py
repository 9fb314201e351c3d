"""How well the outlines of classes meet, within a tolerance (Csurka et al., BMVC 2013)."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boundaries"]

Values = NDArray[np.int32]
Bits = NDArray[np.uint64]
# Classes whose outlines one pass looks at: a bit of a pixel each.
_BITS = 64


class Boundaries:
    """Counts of outline pixels of each class that have their like in the other raster near by.

    A pixel is on the outline of its class where one of its four neighbours has another class;
    unknown neighbours and the raster's edge make no outline.

    Args:
        count: Number of classes.
        tolerance: Largest distance of pixel centres, in pixels.

    Attributes:
        predicted: int64 (count,) outline pixels of the map where the truth is known.
        predicted_met: Of these, the ones near an outline of the same class in the truth.
        true: int64 (count,) outline pixels of the truth.
        true_met: Of these, the ones near an outline of the same class in the map.
        halo: Rows that `add` needs above and below.
    """

    def __init__(self, count: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self.halo = math.floor(tolerance) + 1
        self.predicted, self.predicted_met, self.true, self.true_met = (
            np.zeros(count, np.int64) for _ in range(4)
        )

    def add(self, truth: Values, predicted: Values, core: slice) -> None:
        """Add rows.

        Args:
            truth: Positions of classes (h, w), negative where unknown; `halo` rows more on both
                sides, as far as the raster goes.
            predicted: The same of the map.
            core: The rows that are counted.
        """
        count = len(self.true)
        lines = [_outline(values) for values in (truth, predicted)]
        lines[1] &= truth >= 0
        for first in range(0, count, _BITS):
            marks = [
                np.where(line & (values >= first) & (values < first + _BITS),
                         np.uint64(1) << (values - first).clip(0, _BITS - 1).astype(np.uint64),
                         np.uint64(0)).astype(_smallest(min(count - first, _BITS)))
                for line, values in zip(lines, (truth, predicted), strict=True)
            ]  # fmt: skip
            for one, other, values, total, met in (
                (0, 1, truth, self.true, self.true_met),
                (1, 0, predicted, self.predicted, self.predicted_met),
            ):
                own = marks[one][core]
                found = (own & _spread(marks[other], self.tolerance)[core]) != 0
                total += np.bincount(values[core][own != 0], minlength=count)
                met += np.bincount(values[core][found], minlength=count)

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 of each class's outline, 0 to 1; NaN where neither has one."""
        both = self.predicted + self.true
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = self.predicted_met / self.predicted
            recall = self.true_met / self.true
            f1 = 2 * precision * recall / (precision + recall)
        return np.where(both == 0, np.nan, np.nan_to_num(f1))


def _outline(values: Values) -> NDArray[np.bool_]:
    line = np.zeros(values.shape, np.bool_)
    for axis in (0, 1):
        one = values[:-1] if axis == 0 else values[:, :-1]
        other = values[1:] if axis == 0 else values[:, 1:]
        edge = (one != other) & (one >= 0) & (other >= 0)
        if axis == 0:
            line[:-1] |= edge
            line[1:] |= edge
        else:
            line[:, :-1] |= edge
            line[:, 1:] |= edge
    return line


def _smallest(bits: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(next(f"uint{size}" for size in (8, 16, 32, 64) if bits <= size))


def _spread(marks: NDArray[np.unsignedinteger], radius: float) -> NDArray[np.unsignedinteger]:
    """Return for each pixel the marks of all pixels whose centres are no further than a radius."""
    found = np.zeros_like(marks)
    height = len(marks)
    for down in range(-math.floor(radius), math.floor(radius) + 1):
        if abs(down) >= height:
            continue
        across = _along_rows(marks, math.floor(math.sqrt(radius * radius - down * down)))
        if down >= 0:
            found[: height - down] |= across[down:]
        else:
            found[-down:] |= across[:down]
    return found


def _along_rows(marks: NDArray[np.unsignedinteger], half: int) -> NDArray[np.unsignedinteger]:
    """Return for each pixel the marks of the pixels up to `half` left and right of it."""
    length = 2 * half + 1
    # Doubling: what a stretch of n pixels holds, then of 2n, ...
    stretch = np.pad(marks, ((0, 0), (half, half)))
    reach = 1
    while reach < length:
        step = min(reach, length - reach)
        stretch = stretch[:, :-step] | stretch[:, step:]
        reach += step
    return stretch
