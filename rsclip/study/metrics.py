"""Confusion of classes, and the scores read from it; pure numpy."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion"]

Floats = NDArray[np.float64]


class Confusion:
    """Counts of (true class, predicted class).

    Args:
        count: Number of classes.

    Attributes:
        matrix: int64 (count, count), rows true, columns predicted.
    """

    def __init__(self, count: int) -> None:
        self.matrix: NDArray[np.int64] = np.zeros((count, count), np.int64)

    def add(self, truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
        """Add pixels.

        Args:
            truth: Positions of classes, any shape; a negative one is unknown and not counted.
            predicted: The same shape, 0 to count - 1 wherever the truth is known.
        """
        count = len(self.matrix)
        known = truth >= 0
        pairs = truth[known].astype(np.int64) * count + predicted[known]
        self.matrix += np.bincount(pairs, minlength=count * count).reshape(count, count)

    @property
    def iou(self) -> Floats:
        """Intersection over union of each class, 0 to 1; NaN where it is in neither."""
        hits, true, predicted = self._sums
        return _ratio(hits, true + predicted - hits)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, 0 to 1; NaN where the class is in neither."""
        hits, true, predicted = self._sums
        return _ratio(2 * hits, true + predicted)

    @property
    def precision(self) -> Floats:
        """Share of each predicted class that is right, 0 to 1; NaN where it is not predicted."""
        hits, _, predicted = self._sums
        return _ratio(hits, predicted)

    @property
    def recall(self) -> Floats:
        """Share of each true class that was found, 0 to 1; NaN where it is not in the truth."""
        hits, true, _ = self._sums
        return _ratio(hits, true)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes in the truth, 0 to 1; NaN without any."""
        there = self.matrix.sum(1) > 0
        return float(self.iou[there].mean()) if there.any() else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of right pixels, 0 to 1; NaN without any."""
        total = self.matrix.sum()
        return float(np.trace(self.matrix) / total) if total else float("nan")

    @property
    def _sums(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return pixels of each class: right ones, true ones, predicted ones."""
        return np.diag(self.matrix), self.matrix.sum(1), self.matrix.sum(0)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio
