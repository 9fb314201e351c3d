"""Confusion of classes, and the scores read from it; pure numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion", "class_scores", "overall_scores"]

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
        return class_scores(self.matrix)["iou"]

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, 0 to 1; NaN where the class is in neither."""
        return class_scores(self.matrix)["f1"]

    @property
    def precision(self) -> Floats:
        """Share of each predicted class that is right, 0 to 1; NaN where it is not predicted."""
        return class_scores(self.matrix)["precision"]

    @property
    def recall(self) -> Floats:
        """Share of each true class that was found, 0 to 1; NaN where it is not in the truth."""
        return class_scores(self.matrix)["recall"]

    @property
    def miou(self) -> float:
        """Mean IoU over the classes in the truth, 0 to 1; NaN without any."""
        return float(overall_scores(self.matrix)["miou"])

    @property
    def accuracy(self) -> float:
        """Share of right pixels, 0 to 1; NaN without any."""
        return float(overall_scores(self.matrix)["accuracy"])


def class_scores(matrix: NDArray[np.int64]) -> dict[str, Floats]:
    """Return IoU, F1, precision and recall of each class, float (..., K), of (..., K, K) counts."""
    hits, true, predicted = _sums(matrix)
    return {
        "iou": _ratio(hits, true + predicted - hits),
        "f1": _ratio(2 * hits, true + predicted),
        "precision": _ratio(hits, predicted),
        "recall": _ratio(hits, true),
    }


def overall_scores(matrix: NDArray[np.int64], other: Sequence[int] = ()) -> dict[str, Floats]:
    """Return the scores of whole maps, float (...), of counts (..., K, K).

    Args:
        matrix: Counts, rows true.
        other: Catch-all classes, which one of the means leaves out.

    Returns:
        Mean IoU over the classes in the truth ("miou", "miou_without_other"), share of right
        pixels ("accuracy"), IoU weighted by the classes' true pixels ("weighted_iou").
    """
    hits, true, predicted = _sums(matrix)
    iou = np.nan_to_num(_ratio(hits, true + predicted - hits))
    named = true.copy()
    named[..., list(other)] = 0
    total = true.sum(-1)
    return {
        "miou": _ratio((iou * (true > 0)).sum(-1), (true > 0).sum(-1)),
        "miou_without_other": _ratio((iou * (named > 0)).sum(-1), (named > 0).sum(-1)),
        "accuracy": _ratio(hits.sum(-1), total),
        "weighted_iou": _ratio((iou * true).sum(-1), total),
    }


def _sums(matrix: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return pixels of each class: right ones, true ones, predicted ones."""
    return np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)


def _ratio(part: NDArray[Any], whole: NDArray[np.int64]) -> Floats:
    nothing = np.full(np.shape(part), np.nan)
    ratio: Floats = np.divide(part, whole, out=nothing, where=whole > 0)
    return ratio
