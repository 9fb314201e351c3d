"""Intervals of scores by block bootstrap: pixels next to each other are not independent."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsclip.study.metrics import Confusion, class_scores, overall_scores

__all__ = ["Blocks", "Interval", "intervals"]

REPLICATES = 1000
"""Draws of blocks."""
LEAST_BLOCKS = 10
"""Of fewer blocks with labels no interval is given: there are too few to draw from."""
# Blocks along the longer side, unless they would be smaller than so many pixels.
_ACROSS, _LEAST = 32, 32
_SEED = 0
_LEVEL = 95

Interval = tuple[float, float]


class Blocks:
    """Confusions of the square blocks that a raster is cut into.

    Args:
        shape: (height, width) of the raster.
        count: Number of classes.
        side: Pixels of a block's side; None: a 32nd of the longer side, 32 at least.

    Attributes:
        side: As given or chosen.
        across: Blocks in a row of them.
    """

    def __init__(self, shape: tuple[int, int], count: int, side: int | None = None) -> None:
        self.side = side or max(-(-max(shape) // _ACROSS), _LEAST)
        self._count = count
        self.across = -(-shape[1] // self.side)
        down = -(-shape[0] // self.side)
        self._matrices = np.zeros((down, self.across, count, count), np.int64)

    def add(self, row: int, truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> None:
        """Add rows of one row of blocks.

        Args:
            row: Number of the first.
            truth: Positions of classes (h, W); a pixel counts where both are no less than 0.
            predicted: The same of the map.
        """
        count = self._count
        column = np.arange(truth.shape[1]) // self.side
        at = (truth >= 0) & (predicted >= 0)
        pairs = (column[None] * count + truth)[at] * count + predicted[at]
        counts = np.bincount(pairs, minlength=self.across * count * count)
        self._matrices[row // self.side] += counts.reshape(self.across, count, count)

    @property
    def total(self) -> Confusion:
        """The confusion of the whole raster."""
        whole = Confusion(self._count)
        whole.matrix = self._matrices.sum((0, 1))
        return whole

    @property
    def filled(self) -> NDArray[np.int64]:
        """Confusions of the blocks that hold labels, int64 (B, count, count)."""
        every = self._matrices.reshape(-1, self._count, self._count)
        filled: NDArray[np.int64] = every[every.sum((1, 2)) > 0]
        return filled


def intervals(
    blocks: NDArray[np.int64], without: Sequence[int]
) -> tuple[dict[str, Interval], dict[str, NDArray[np.float64]]]:
    """Return 95 % percentile intervals over blocks drawn with replacement.

    Args:
        blocks: Confusions int64 (B, K, K).
        without: Catch-all classes, for the mean IoU without them.

    Returns:
        Of the map's scores: name -> (low, high); of the classes': name -> float (K, 2), NaN where
        the class is in no draw. Both are empty for fewer than 10 blocks.
    """
    count = blocks.shape[1]
    if len(blocks) < LEAST_BLOCKS:
        return {}, {}
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), REPLICATES)
    matrices = drawn @ blocks.reshape(len(blocks), -1)
    draws = matrices.reshape(-1, count, count)
    overall = {
        name: _ends(values[:, None])[0] for name, values in overall_scores(draws, without).items()
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
