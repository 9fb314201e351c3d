"""PAMR: values of pixels drawn to the edges of the image, block by block.

For a pixel i and its 8 neighbours j at each dilation, with s the standard deviation of the image
over these places (i itself once a dilation), per channel:

    a(i, j) = softmax over j of -( mean over channels of |x_i - x_j| / (0.1 s_i + 1e-8) )
    m_i     = sum over j of a(i, j) m_j                        repeated

Source: Araslanov and Roth, Single-Stage Semantic Segmentation from Image Labels, CVPR 2020, section
3.3; ten repetitions, as SCLIP and SC-CLIP use it. Outside the scene its border is
repeated. Pixels that are not valid count for nothing.

Every operation works on single pixels and adds up in one order, so that the cut into blocks never
changes a value, if a block has `halo` pixels more on every side that is not the scene's border.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from rsclip.errors import OptionError
from rsclip.types import BoolArray, FloatArray

__all__ = [
    "DILATIONS",
    "NEIGHBOURS",
    "PixelRefiner",
    "halo_of",
    "parse_dilations",
]

DILATIONS = (1, 2, 4, 8)
"""Near pixels too: at 8 and 16 alone, as SCLIP and SC-CLIP have it, pixels that are no multiple of
8 apart never meet, and borders stay speckled."""
_MAX_DILATION = 32
_MAX_DILATIONS = 6
_REPETITIONS = 10
_SHARPNESS = 0.1
_TINY = 1e-8
_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0)]
NEIGHBOURS = len(_STEPS)
"""At each dilation."""
# Bands of so many pixels stay in a processor's cache.
_BAND_PIXELS = 1 << 15


def halo_of(dilations: Sequence[int]) -> int:
    """Return how many pixels away a refined value can come from."""
    return max(dilations) * _REPETITIONS


def parse_dilations(text: str) -> tuple[int, ...]:
    """Return the dilations of "pamr" or "pamr:D,D,...".

    Raises:
        OptionError: It is neither, or a dilation is out of range.
    """
    kind, colon, numbers = text.strip().partition(":")
    parts = numbers.split(",") if colon else [str(each) for each in DILATIONS]
    fits = (
        kind == "pamr"
        and len(parts) <= _MAX_DILATIONS
        and all(part.strip().isdecimal() and 1 <= int(part) <= _MAX_DILATION for part in parts)
    )
    if not fits:
        raise OptionError(
            f"{text!r} is no refinement",
            where="--refine",
            remedy=f"It is pamr, or pamr:8,16: up to {_MAX_DILATIONS} whole numbers, "
            f"1 to {_MAX_DILATION}.",
        )
    return tuple(sorted({int(part) for part in parts}))


class PixelRefiner:
    """Refine planes of values over one block of pixels.

    Args:
        image: float32 (3, h, w).
        valid: bool (h, w), False where the image has no data.
        cut: Whether the block ends inside the scene at its (top, bottom, left, right); there the
            outer `halo_of` pixels of what `refine` returns mean nothing.
        dilations: Distances of the neighbours in pixels.
    """

    def __init__(
        self,
        image: FloatArray,
        valid: BoolArray,
        cut: tuple[bool, bool, bool, bool],
        dilations: tuple[int, ...] = DILATIONS,
    ) -> None:
        self._shape = valid.shape
        self._cut = cut
        self._reach = max(dilations)
        self._offsets = [(row * step, col * step) for step in dilations for row, col in _STEPS]
        self._weights, self._alone = self._affinities(image, valid, len(dilations))

    def refine(self, values: FloatArray) -> FloatArray:
        """Return values float32 (h, w), refined."""
        height, width = self._shape
        top, bottom, left, right = self._cut
        for done in range(1, _REPETITIONS + 1):
            padded = np.pad(values, self._reach, mode="edge")
            result = np.empty_like(values)
            # Only what the next repetition can still reach.
            lost = done * self._reach
            columns = slice(lost * left, width - lost * right)
            first, last = lost * top, height - lost * bottom
            step = max(_BAND_PIXELS // width, 1)
            for start in range(first, last, step):
                rows = slice(start, min(start + step, last))
                total = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
                product = np.empty_like(total)
                for offset, weight in zip(self._offsets, self._weights, strict=True):
                    moved = self._near(padded, rows, columns, offset)
                    np.multiply(weight[rows, columns], moved, out=product)
                    total += product
                np.copyto(total, values[rows, columns], where=self._alone[rows, columns])
                result[rows, columns] = total
            values = result
        return values

    def _affinities(
        self, image: FloatArray, valid: BoolArray, squares: int
    ) -> tuple[FloatArray, BoolArray]:
        """Return the weights (neighbours, h, w) of a pixel's neighbours, and where it has none."""
        height, width = valid.shape
        known = self._all_near(valid)
        scores = np.zeros((len(self._offsets), height, width), np.float32)
        for plane in image:
            near = self._all_near(plane)
            # The pixel itself stands in the middle of every dilation's square.
            scale = _deviation([*near, *[plane] * squares], [*known, *[valid] * squares])
            scale *= np.float32(_SHARPNESS)
            scale += np.float32(_TINY)
            for score, other in zip(scores, near, strict=True):
                score -= np.abs(plane - other) / scale
        scores /= np.float32(len(image))
        for score, there in zip(scores, known, strict=True):
            score[~there] = -np.inf
        best = scores.max(axis=0)
        alone = np.isneginf(best)
        best[alone] = 0
        np.exp(np.subtract(scores, best, out=scores), out=scores)
        total = np.zeros((height, width), np.float32)
        for score in scores:
            total += score
        total[alone] = 1
        scores /= total
        return scores, alone

    def _all_near(self, plane: np.ndarray) -> list[np.ndarray]:
        """Return a plane (h, w) moved by each offset, its border repeated."""
        padded = np.pad(plane, self._reach, mode="edge")
        whole = slice(0, plane.shape[0]), slice(0, plane.shape[1])
        return [self._near(padded, *whole, offset) for offset in self._offsets]

    def _near(
        self, padded: np.ndarray, rows: slice, columns: slice, offset: tuple[int, int]
    ) -> np.ndarray:
        """Return rows and columns of a padded plane, moved by an offset."""
        row, col = (by + self._reach for by in offset)
        return padded[rows.start + row : rows.stop + row, columns.start + col : columns.stop + col]


def _deviation(planes: list[FloatArray], known: list[BoolArray]) -> FloatArray:
    """Return the deviation (n - 1) over planes where they are known; 0 of fewer than two."""
    count = np.zeros(planes[0].shape, np.float32)
    total = np.zeros_like(count)
    for plane, there in zip(planes, known, strict=True):
        count += there
        total += np.where(there, plane, np.float32(0))
    mean = total / np.maximum(count, 1)
    total[:] = 0
    for plane, there in zip(planes, known, strict=True):
        total += np.where(there, np.square(plane - mean), np.float32(0))
    deviation: FloatArray = np.sqrt(total / np.maximum(count - 1, 1))
    return deviation
