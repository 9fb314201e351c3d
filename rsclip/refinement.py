"""PAMR: values of pixels drawn to the edges of the image, block by block.

For a pixel i and its 8 neighbours j at each dilation, with s the standard deviation of the image
over these places (i itself once a dilation), per channel:

    a(i, j) = softmax over j of -( mean over channels of |x_i - x_j| / (0.1 s_i + 1e-8) )
    m_i     = sum over j of a(i, j) m_j                        repeated

Source: Araslanov and Roth, Single-Stage Semantic Segmentation from Image Labels, CVPR 2020, section
3.3; dilations and repetitions as SCLIP and SC-CLIP use them. Outside the scene its border is
repeated. Pixels that are not valid count for nothing.

Every operation works on single pixels and adds up in one order, so that the cut into blocks never
changes a value, if a block has HALO pixels more on every side that is not the scene's border.
"""

import itertools

import numpy as np

from rsclip.types import BoolArray, FloatArray

__all__ = ["HALO", "PixelRefiner"]

_DILATIONS = (8, 16)
_REPETITIONS = 10
_REACH = max(_DILATIONS)
HALO = _REACH * _REPETITIONS
"""How many pixels away a value can come from."""

_SHARPNESS = 0.1
_TINY = 1e-8
_STEPS = [step for step in itertools.product((-1, 0, 1), repeat=2) if step != (0, 0)]
_OFFSETS = [(row * far, col * far) for far in _DILATIONS for row, col in _STEPS]
# Bands of so many pixels stay in a processor's cache.
_BAND_PIXELS = 1 << 15


class PixelRefiner:
    """Refine planes of values over one block of pixels.

    Args:
        image: float32 (3, h, w).
        valid: bool (h, w), False where the image has no data.
        cut: Whether the block ends inside the scene at its (top, bottom, left, right); there the
            outer HALO pixels of what `refine` returns mean nothing.
    """

    def __init__(
        self, image: FloatArray, valid: BoolArray, cut: tuple[bool, bool, bool, bool]
    ) -> None:
        self._shape = valid.shape
        self._cut = cut
        self._weights, self._alone = _affinities(image, valid)

    def refine(self, values: FloatArray) -> FloatArray:
        """Return values float32 (h, w), refined."""
        height, width = self._shape
        top, bottom, left, right = self._cut
        for done in range(1, _REPETITIONS + 1):
            padded = np.pad(values, _REACH, mode="edge")
            result = np.empty_like(values)
            # Only what the next repetition can still reach.
            lost = done * _REACH
            columns = slice(lost * left, width - lost * right)
            first, last = lost * top, height - lost * bottom
            step = max(_BAND_PIXELS // width, 1)
            for start in range(first, last, step):
                rows = slice(start, min(start + step, last))
                total = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
                product = np.empty_like(total)
                for offset, weight in zip(_OFFSETS, self._weights, strict=True):
                    moved = padded[_moved(rows, offset[0]), _moved(columns, offset[1])]
                    np.multiply(weight[rows, columns], moved, out=product)
                    total += product
                np.copyto(total, values[rows, columns], where=self._alone[rows, columns])
                result[rows, columns] = total
            values = result
        return values


def _affinities(image: FloatArray, valid: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Return the weights (neighbours, h, w) of each pixel's neighbours, and where it has none."""
    height, width = valid.shape
    whole = slice(0, height), slice(0, width)
    known = np.pad(valid, _REACH, mode="edge")
    near = [known[_moved(whole[0], row), _moved(whole[1], col)] for row, col in _OFFSETS]
    scores = np.zeros((len(_OFFSETS), height, width), np.float32)
    for plane in image:
        padded = np.pad(plane, _REACH, mode="edge")
        moved = [padded[_moved(whole[0], row), _moved(whole[1], col)] for row, col in _OFFSETS]
        # The pixel itself stands in the middle of every dilation's square.
        scale = _deviation(
            [*moved, *[plane] * len(_DILATIONS)], [*near, *[valid] * len(_DILATIONS)]
        )
        scale *= np.float32(_SHARPNESS)
        scale += np.float32(_TINY)
        for score, other in zip(scores, moved, strict=True):
            score -= np.abs(plane - other) / scale
    scores /= np.float32(len(image))
    for score, there in zip(scores, near, strict=True):
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


def _moved(part: slice, by: int) -> slice:
    """Return a range of rows or columns, moved, in an array padded by _REACH."""
    return slice(part.start + by + _REACH, part.stop + by + _REACH)
