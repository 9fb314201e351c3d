"""Intervals of scores by bootstrap of blocks or images: neighbouring pixels are not independent."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import OptionError
from rsclip.study.metrics import Confusion, class_scores, overall_scores

__all__ = ["Blocks", "Interval", "intervals"]

REPLICATES = 1000
"""Draws of units."""
LEAST_UNITS = 10
"""Of fewer units with labels no interval is given: there are too few to draw from."""
# Blocks along the longer side, unless they would be smaller than so many pixels.
_ACROSS, _LEAST = 32, 32
# Counts and draws of more would not fit into memory.
_MOST = 20_000
_SEED = 0
_LEVEL = 95

Interval = tuple[float, float]


class Blocks:
    """Counts of the square blocks that a raster is cut into.

    Args:
        shape: (height, width) of the raster.
        count: Number of classes.
        side: Pixels of a block's side; None: a 32nd of the longer side, 32 at least.

    Attributes:
        side: As given or chosen.
        total: The confusion of the whole raster.

    Raises:
        OptionError: There are too many blocks.
    """

    def __init__(self, shape: tuple[int, int], count: int, side: int | None = None) -> None:
        self.side = side or max(-(-max(shape) // _ACROSS), _LEAST)
        self.total = Confusion(count)
        down, across = (-(-length // self.side) for length in shape)
        if down * across > _MOST:
            least = math.ceil(math.sqrt(shape[0] * shape[1] / _MOST)) + 1
            raise OptionError(
                f"{self.side} pixels make {down * across:,} blocks",
                where="--block",
                remedy=f"Give {least} pixels or more, as large as the things on the map.",
            )
        self._sums = np.zeros((down, across, 3, count), np.int64)

    def add(self, row: int, truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> None:
        """Add rows of one row of blocks.

        Args:
            row: Number of the first.
            truth: Positions of classes (h, W); a pixel counts where both are no less than 0.
            predicted: The same of the map.
        """
        _, across, _, count = self._sums.shape
        at = (truth >= 0) & (predicted >= 0)
        block = np.broadcast_to(np.arange(truth.shape[1]) // self.side, truth.shape)[at]
        truth, predicted = truth[at], predicted[at]
        self.total.add(truth, predicted)
        right = truth == predicted
        pairs = (block[right], truth[right]), (block, truth), (block, predicted)
        for kind, (place, values) in enumerate(pairs):
            counts = np.bincount(place * count + values, minlength=across * count)
            self._sums[row // self.side, :, kind] += counts.reshape(across, count)

    @property
    def filled(self) -> NDArray[np.int64]:
        """Right, true and predicted pixels of the blocks that hold labels, int64 (B, 3, K)."""
        every = self._sums.reshape(-1, *self._sums.shape[2:])
        filled: NDArray[np.int64] = every[every[:, 1].any(axis=1)]
        return filled


def intervals(
    units: NDArray[np.int64], other: Sequence[int]
) -> tuple[dict[str, Interval], dict[str, NDArray[np.float64]]]:
    """Return 95 % percentile intervals over units drawn with replacement.

    Args:
        units: Blocks, or images of a set: right, true and predicted pixels, int64 (B, 3, K).
        other: Catch-all classes, for the mean IoU without them.

    Returns:
        Of the map's scores: name -> (low, high); of the classes': name -> float (K, 2), NaN where
        the class is in no draw. Both are empty for fewer than 10 units.
    """
    if len(units) < LEAST_UNITS:
        return {}, {}
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(len(units), np.full(len(units), 1 / len(units)), REPLICATES)
    draws = (drawn @ units.reshape(len(units), -1)).reshape(-1, *units.shape[1:])
    overall = {
        name: _ends(values[:, None])[0] for name, values in overall_scores(draws, other).items()
    }
    return (
        {name: (float(low), float(high)) for name, (low, high) in overall.items()},
        {name: _ends(values) for name, values in class_scores(draws).items()},
    )


def _ends(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of the columns' intervals, (K, 2)."""
    known = np.isfinite(values).any(axis=0)
    ends = ((100 - _LEVEL) / 2, (100 + _LEVEL) / 2)
    # numpy warns of columns without any number.
    found: NDArray[np.float64] = np.nanpercentile(np.where(known, values, 0.0), ends, axis=0)
    return np.where(known, found, np.nan).T
