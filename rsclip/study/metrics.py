"""Confusion of classes, and the scores read from it; pure numpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion", "class_scores", "overall_scores"]

Counts = NDArray[np.int64]

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
    def sums(self) -> Counts:
        """Right, true and predicted pixels of each class, int64 (3, count)."""
        return np.stack([self.matrix.diagonal(), self.matrix.sum(1), self.matrix.sum(0)])

    @property
    def iou(self) -> Floats:
        """Intersection over union of each class, 0 to 1; NaN where it is in neither."""
        return class_scores(self.sums)["iou"]

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, 0 to 1; NaN where the class is in neither."""
        return class_scores(self.sums)["f1"]

    @property
    def precision(self) -> Floats:
        """Share of each predicted class that is right, 0 to 1; NaN where it is not predicted."""
        return class_scores(self.sums)["precision"]

    @property
    def recall(self) -> Floats:
        """Share of each true class that was found, 0 to 1; NaN where it is not in the truth."""
        return class_scores(self.sums)["recall"]

    @property
    def miou(self) -> float:
        """Mean IoU over the classes in the truth, 0 to 1; NaN without any."""
        return float(overall_scores(self.sums)["miou"])

    @property
    def accuracy(self) -> float:
        """Share of right pixels, 0 to 1; NaN without any."""
        return float(overall_scores(self.sums)["accuracy"])


def class_scores(sums: Counts) -> dict[str, Floats]:
    """Return IoU, F1, precision and recall of each class, float (..., K).

    Args:
        sums: int64 (..., 3, K), right, true and predicted pixels of each class.
    """
    right, true, predicted = np.moveaxis(sums, -2, 0)
    return {
        "iou": _ratio(right, true + predicted - right),
        "f1": _ratio(2 * right, true + predicted),
        "precision": _ratio(right, predicted),
        "recall": _ratio(right, true),
    }


def overall_scores(sums: Counts, other: Sequence[int] = ()) -> dict[str, Floats]:
    """Return the scores of whole maps, float (...).

    Args:
        sums: As `class_scores` takes them.
        other: Catch-all classes, which one of the means leaves out.

    Returns:
        Mean IoU over the classes in the truth ("miou", "miou_without_other"), share of right
        pixels ("accuracy"), IoU weighted by the classes' true pixels ("weighted_iou").
    """
    right, true, _ = np.moveaxis(sums, -2, 0)
    iou = np.nan_to_num(class_scores(sums)["iou"])
    named = true.copy()
    named[..., list(other)] = 0
    total = true.sum(-1)
    return {
        "miou": _ratio((iou * (true > 0)).sum(-1), (true > 0).sum(-1)),
        "miou_without_other": _ratio((iou * (named > 0)).sum(-1), (named > 0).sum(-1)),
        "accuracy": _ratio(right.sum(-1), total),
        "weighted_iou": _ratio((iou * true).sum(-1), total),
    }


def _ratio(part: NDArray[Any], whole: Counts) -> Floats:
    nothing = np.full(np.shape(part), np.nan)
    ratio: Floats = np.divide(part, whole, out=nothing, where=whole > 0)
    return ratio
