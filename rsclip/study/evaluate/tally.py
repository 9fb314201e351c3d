"""Counts of many images, added up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import SceneError, collect_warnings, warn
from rsclip.study.evaluate.boundaries import Boundaries
from rsclip.study.evaluate.intervals import LEAST_UNITS, intervals
from rsclip.study.evaluate.result import Evaluation, ImageScores, Reliability
from rsclip.study.metrics import Confusion
from rsclip.study.truth_classes import catch_all
from rsclip.words.legend import Legend, LegendClass

__all__ = ["Part", "Tally"]

Counts = NDArray[np.int64]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Part:
    """Counts of one image.

    Attributes:
        image: As it was named.
        classes: Names by legend value, 0 included.
        confusion: int64 (K, K), rows true.
        outlines: int64 (4, K), what `Boundaries` counts, or None.
        tolerance: Of outlines, pixels.
        reliability: int64 (2, 101), pixels and right ones of each percent of confidence, or None.
        unmapped: Labelled pixels where the map has no data.
        notes: What was said of it, without the name of the file, and as it was said.
    """

    image: str
    classes: tuple[str, ...]
    confusion: Counts
    outlines: Counts | None
    tolerance: float
    reliability: Counts | None
    unmapped: int
    notes: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, found: Evaluation, notes: Sequence[tuple[str, str]]) -> Self:
        """Return the counts of an evaluation."""
        lines, tolerance = found.boundaries, 0.0
        outlines = None
        if lines is not None:
            outlines = np.stack([lines.predicted, lines.predicted_met, lines.true, lines.true_met])
            tolerance = lines.tolerance
        names = tuple(found.legend.names.values())
        known = found.reliability
        reliability = None if known is None else np.stack([known.pixels, known.right])
        return cls(
            found.mask, names, found.confusion.matrix, outlines, tolerance, reliability,
            found.unmapped, tuple(notes),
        )  # fmt: skip

    def to_json(self) -> str:
        """Return it as one line; of the confusion, what is not 0."""
        at = np.nonzero(self.confusion)
        outlines, reliability = (
            None if counts is None else counts.tolist()
            for counts in (self.outlines, self.reliability)
        )
        return json.dumps(
            {
                "image": self.image,
                "classes": self.classes,
                "confusion": np.stack([*at, self.confusion[at]], axis=1).tolist(),
                "outlines": outlines,
                "tolerance": self.tolerance,
                "reliability": reliability,
                "unmapped": self.unmapped,
                "notes": self.notes,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Self:
        """Return what `to_json` wrote."""
        count = len(entry["classes"])
        matrix = np.zeros((count, count), np.int64)
        for true, found, pixels in entry["confusion"]:
            matrix[true, found] = pixels
        outlines, reliability = (
            None if entry.get(name) is None else np.array(entry[name], np.int64)
            for name in ("outlines", "reliability")
        )
        return cls(
            entry["image"], tuple(entry["classes"]), matrix, outlines, entry["tolerance"],
            reliability, entry["unmapped"], tuple((short, said) for short, said in entry["notes"]),
        )  # fmt: skip


class Tally:
    """Add up images; classes of one name are one class.

    Args:
        count: Images that will be added.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._names: dict[str, str] = {}
        self._confusion = np.zeros((0, 0), np.int64)
        self._outlines: Counts | None = None
        self._tolerance = 0.0
        self._reliability: Reliability | None = None
        self._unmapped = 0
        self._images: list[tuple[str, Counts]] = []
        self._notes: dict[str, list[str]] = {}

    def add(self, part: Part) -> None:
        """Add an image."""
        for name in part.classes:
            self._names.setdefault(name.casefold(), name)
        order = {name: at for at, name in enumerate(self._names)}
        place = np.array([order[name.casefold()] for name in part.classes])
        self._confusion = _grown(self._confusion, len(order), 2)
        np.add.at(self._confusion, np.ix_(place, place), part.confusion)
        if part.outlines is not None:
            own = np.zeros((4, 0), np.int64) if self._outlines is None else self._outlines
            self._outlines = _grown(own, len(order), 1)
            self._outlines[:, place] += part.outlines
            self._tolerance = part.tolerance
        if part.reliability is not None:
            self._reliability = self._reliability or Reliability()
            self._reliability.pixels += part.reliability[0]
            self._reliability.right += part.reliability[1]
        own = np.zeros((3, len(order)), np.int64)
        counted = Confusion(0)
        counted.matrix = part.confusion
        own[:, place] = counted.sums
        self._images.append((part.image, own))
        self._unmapped += part.unmapped
        for short, note in part.notes:
            self._notes.setdefault(short, []).append(note)

    def result(self) -> Evaluation:
        """Return the scores of all images together.

        Raises:
            SceneError: No pixel of a class is labelled.
        """
        _, *others = self._names.values()
        legend = Legend(
            tuple(LegendClass(name, (name,), value=at) for at, name in enumerate(others, 1))
        )
        if not self._confusion[1:].any():
            what = "no labelled pixel"
            if self._confusion.any():
                what = f"no labelled pixel of {', '.join(others[:6])}" + " ..." * (len(others) > 6)
            raise SceneError(
                f"{what} in {self._count} images", where="--labels",
                remedy="Check that labels and classes belong together, --ignore and --mapping.",
            )  # fmt: skip
        with collect_warnings() as said:
            for short, notes in self._notes.items():
                one = len(notes) == 1
                warn(notes[0] if one else f"{short} (in {len(notes)} of {self._count} images)")
            if blank := [name for name, sums in self._images if not sums[1].any()]:
                listed = ", ".join(blank[:_SHOWN]) + (" ..." if len(blank) > _SHOWN else "")
                warn(
                    f"{len(blank)} of {self._count} images have no labelled pixel and do not "
                    f"count: {listed}"
                )
        count = len(self._names)
        images = [ImageScores(name, _grown(sums, count, 1)) for name, sums in self._images]
        units = np.array([each.sums for each in images if each.sums[1].any()])
        other = catch_all(legend)
        overall, classes = intervals(units, other)
        if not overall:
            warn(f"intervals need {LEAST_UNITS} images with labels: there are {len(units)}")
        boundaries = None
        if self._outlines is not None:
            boundaries = Boundaries(count, self._tolerance)
            (boundaries.predicted, boundaries.predicted_met, boundaries.true,
             boundaries.true_met) = self._outlines  # fmt: skip
        confusion = Confusion(count)
        confusion.matrix = self._confusion
        return Evaluation(
            "", "", legend, confusion, other, boundaries, self._reliability, (len(units), 0),
            overall, classes, self._unmapped, said, images=images,
        )  # fmt: skip


def _grown(counts: Counts, size: int, axes: int) -> Counts:
    """Return counts with room for `size` classes along their last axes."""
    more = size - counts.shape[-1]
    pad = [(0, 0)] * (counts.ndim - axes) + [(0, more)] * axes
    return np.pad(counts, pad)
