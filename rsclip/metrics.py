"""Confusion of classes, and the scores read from it; pure numpy."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion"]

Floats = NDArray[np.float64]


class Confusion:
    """Counts of (true class, predicted class)."""

    def __init__(self, count: int) -> None:
        self.matrix: NDArray[np.int64] = np.zeros((count, count), np.int64)

    def add(self, truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
        """Add pixels; a negative truth is unknown and not counted."""
        count = len(self.matrix)
        known = truth >= 0
        pairs = truth[known].astype(np.int64) * count + predicted[known]
        self.matrix += np.bincount(pairs, minlength=count * count).reshape(count, count)

    @property
    def iou(self) -> Floats:
        """Intersection over union."""
        hits = np.diag(self.matrix)
        union = self.matrix.sum(0) + self.matrix.sum(1) - hits
        iou: Floats = np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)
        return iou

    @property
    def miou(self) -> float:
        """Mean over the classes in the truth."""
        there = self.matrix.sum(1) > 0
        return float(self.iou[there].mean()) if there.any() else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of right pixels."""
        total = self.matrix.sum()
        return float(np.trace(self.matrix) / total) if total else float("nan")
