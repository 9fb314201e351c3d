"""What an evaluation found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsclip.study.evaluate.boundaries import Boundaries
from rsclip.study.evaluate.intervals import Interval
from rsclip.study.metrics import Confusion, class_scores, overall_scores
from rsclip.version import __version__
from rsclip.words.legend import Legend

__all__ = [
    "BINS",
    "CLASS_SCORES",
    "OVERALL_SCORES",
    "Evaluation",
    "ImageScores",
    "Reliability",
]

BINS = 10
"""Bins of confidence, each a tenth."""

OVERALL_SCORES = {
    "miou": "mean IoU",
    "miou_without_other": "mean IoU without the catch-all",
    "accuracy": "overall accuracy",
    "weighted_iou": "frequency-weighted IoU",
    "boundary_f1": "mean boundary F1",
    "calibration_error": "expected calibration error",
}
"""Key -> what it is called."""

CLASS_SCORES = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision (user's accuracy)",
    "recall": "recall (producer's accuracy)",
    "boundary_f1": "boundary F1",
}
"""Key -> what it is called."""


class Reliability:
    """How often pixels of a confidence are right (Guo et al., ICML 2017).

    Attributes:
        pixels: int64 (101,) pixels of each whole percent.
        right: int64 (101,) right ones among them.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(101, np.int64)
        self.right = np.zeros(101, np.int64)

    def add(self, percent: NDArray[np.uint8], right: NDArray[np.bool_]) -> None:
        """Add pixels that have a class and whose truth is known, both (N,)."""
        self.pixels += np.bincount(percent, minlength=101)
        self.right += np.bincount(percent[right], minlength=101)

    def bins(self) -> NDArray[np.float64]:
        """Return pixels, mean confidence and accuracy (0 to 1) of each tenth, (10, 3)."""
        tenth = np.minimum(np.arange(101) // (100 // BINS), BINS - 1)
        confidence = self.pixels * np.arange(101) / 100
        sums = [np.bincount(tenth, of, BINS) for of in (self.pixels, confidence, self.right)]
        with np.errstate(invalid="ignore"):
            return np.stack([sums[0], sums[1] / sums[0], sums[2] / sums[0]], axis=1)

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1; NaN without pixels."""
        pixels, confidence, right = self.bins().T
        total = pixels.sum()
        gap = np.nan_to_num(np.abs(confidence - right))
        return float((pixels * gap).sum() / total) if total else float("nan")


@dataclass(frozen=True, slots=True)
class ImageScores:
    """One image of many.

    Attributes:
        name: The image, or its mask, as it was named.
        sums: int64 (3, K), right, true and mapped pixels of each class.
    """

    name: str
    sums: NDArray[np.int64]

    @property
    def overall(self) -> dict[str, float]:
        """Scores of the image by the names of `OVERALL_SCORES`, 0 to 1; NaN where undefined."""
        return {name: float(value) for name, value in overall_scores(self.sums).items()}

    @property
    def iou(self) -> NDArray[np.float64]:
        """IoU of each class, float (K,), 0 to 1; NaN where it is in neither."""
        return class_scores(self.sums)["iou"]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a map, or of many together.

    Arrays by class are by legend value: 0 for unclassified (in the labels: none of the map's
    classes), then 1..N.

    Attributes:
        mask: The map as it was named.
        labels: The labels as they were named.
        legend: Classes of the map.
        confusion: Pixels, rows true and columns as the map has them.
        other: Catch-all classes (legend values): unclassified, and classes named background,
            clutter or other.
        boundaries: Counts of outlines; None where none were asked for, or labels are points.
        reliability: None without confidence.
        blocks: Blocks with labels, and the side of one in pixels; of many images: images with
            labels, and 0.
        overall_intervals: Name -> 95 % interval; empty where there are too few blocks.
        class_intervals: Name -> float (K, 2).
        unmapped: Labelled pixels where the map has no data: they do not count.
        warnings: What was said on the way.
        paths: Key -> file that was written.
        images: Of many images: each one's scores.
        settings: How labels were compared ("scoring"), and where scenes were segmented first, how:
            "model", "segment" and "classes".
    """

    mask: str
    labels: str
    legend: Legend
    confusion: Confusion
    other: Sequence[int]
    boundaries: Boundaries | None
    reliability: Reliability | None
    blocks: tuple[int, int]
    overall_intervals: Mapping[str, Interval]
    class_intervals: Mapping[str, NDArray[np.float64]]
    unmapped: int
    warnings: Sequence[str] = ()
    paths: Mapping[str, Path] = field(default_factory=dict)
    images: Sequence[ImageScores] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def overall(self) -> dict[str, float]:
        """Scores of the map by the names of `OVERALL_SCORES`, 0 to 1; NaN where undefined."""
        found = overall_scores(self.confusion.sums, self.other)
        scores = {name: float(value) for name, value in found.items()}
        if self.boundaries is not None:
            f1 = self.boundaries.f1[self.boundaries.true > 0]
            scores["boundary_f1"] = float(f1.mean()) if f1.size else float("nan")
        if self.reliability is not None:
            scores["calibration_error"] = self.reliability.error
        return scores

    @property
    def classes(self) -> dict[str, NDArray[np.float64]]:
        """Scores of each class by the names of `CLASS_SCORES`, float (K,), 0 to 1 or NaN."""
        scores = class_scores(self.confusion.sums)
        if self.boundaries is not None:
            scores["boundary_f1"] = self.boundaries.f1
        return scores

    @property
    def support(self) -> NDArray[np.int64]:
        """Labelled pixels of each class, (K,)."""
        pixels: NDArray[np.int64] = self.confusion.matrix.sum(1)
        return pixels

    def shown(self) -> list[int]:
        """Return the legend values that are in the labels or in the map."""
        matrix = self.confusion.matrix
        return [
            value for value in self.legend.names if matrix[value].any() or matrix[:, value].any()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        names, classes, support = self.legend.names, self.classes, self.support
        return {
            "software": {"rsclip": __version__},
            "mask": self.mask,
            "labels": self.labels,
            "pixels": int(support.sum()),
            "labelled_without_map": self.unmapped,
            "overall": {
                name: {"value": value, "interval": self.overall_intervals.get(name)}
                for name, value in self.overall.items()
            },
            "intervals": {
                "method": "95 % percentile intervals, bootstrap of "
                + ("images" if self.images else "square blocks"),
                ("images" if self.images else "blocks"): self.blocks[0],
                **({} if self.images else {"side_pixels": self.blocks[1]}),
            },
            "catch_all": [names[value] for value in self.other],
            "classes": [
                {
                    "name": names[value],
                    "support": int(support[value]),
                    **{
                        key: {"value": scores[value], "interval": self.class_interval(key, value)}
                        for key, scores in classes.items()
                    },
                }
                for value in self.shown()
            ],
            "boundary_tolerance_pixels": (
                None if self.boundaries is None else self.boundaries.tolerance
            ),
            "confusion": {
                "classes": [names[value] for value in self.shown()],
                "rows": "true",
                "columns": "map",
                "pixels": self.confusion.matrix[np.ix_(self.shown(), self.shown())],
            },
            "reliability": None if self.reliability is None else self.reliability.bins(),
            "warnings": list(self.warnings),
            "settings": dict(self.settings),
        }

    def class_interval(self, key: str, value: int) -> Interval | None:
        """Return the interval of a score of a class; None where there is none."""
        found = self.class_intervals.get(key)
        if found is None or not np.isfinite(found[value]).all():
            return None
        return float(found[value, 0]), float(found[value, 1])
