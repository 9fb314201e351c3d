"""From finished rows of the patch grid to labels of pixels, a strip at a time.

Similarities are interpolated bilinearly (bilinear.py), one class at a time with a running maximum:
memory is a few planes of one strip, whatever the number of classes. Every operation works on single
pixels, so that the cut into strips and chunks never changes a value. Guided by the image
(bilateral.py, refinement.py), values come from further away: they are worked out with as much more
around a chunk.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rsclip.labelling.bilateral import Guide, JointBilateral
from rsclip.labelling.bilinear import Bilinear, Values
from rsclip.labelling.guidance import CHUNK_PIXELS, Guidance
from rsclip.labelling.refinement import PixelRefiner
from rsclip.types import FloatArray, Rows, Score, Shape, Window
from rsclip.words.class_scores import Layout, class_value
from rsclip.words.legend import Legend

__all__ = ["ClassEvidence", "LabelStrip", "Labeller", "percent"]

# Logits that are held at once where every class's probability is asked for: 16 MB.
_CHUNK_LOGITS = 1 << 22

ClassEvidence = Callable[[int], FloatArray | None]
"""Gives what is added to the logit of the class at a position: float32 (h, w), None for nothing."""


@dataclass(frozen=True, slots=True)
class LabelStrip:
    """Finished rows of pixels, full width.

    Attributes:
        start: First pixel row.
        labels: legend.dtype (n, W); 0 is unclassified. Nodata is not known here.
        score: float32 (n, W) in 0..1, the best class's probability, also where a threshold or a
            background class made the label 0; 0 where no window saw anything. None if not asked
            for, as the next two.
        margin: float32 (n, W) in 0..1, the best class's probability less the second best's.
        probabilities: uint8 (foreground classes, n, W), percent: a quarter of the memory.
    """

    start: int
    labels: np.ndarray
    score: FloatArray | None
    margin: FloatArray | None = None
    probabilities: np.ndarray | None = None


def percent(share: FloatArray) -> np.ndarray:
    """Return shares of 0..1 as whole percent, uint8."""
    whole: np.ndarray = np.rint(share * np.float32(100)).astype(np.uint8)
    return whole


class Labeller:
    """Turn finished patch rows into labels on the scene's own grid.

    Args:
        shape: (height, width) of the scene in pixels.
        cells: (rows, columns) of the patch grid, padding included.
        cell_size: (rows, columns) of scene pixels that one patch covers; fractions are fine.
        legend: Classes; background classes and scores below a threshold become 0.
        layout: Which queries speak for which class, and how.
        logit_scale: Factor from cosine similarity to logits.
        score: "class" for softmax over classes (max over a class's queries first), "paper" for
            softmax over all queries, the class having the best of its queries, as
            ClearCLIP and SegEarth-OV do. Both choose the same label.
        threshold: Lowest score that keeps a label, unless the class has its own.
        with_score: Give the score. Labels are the same, whatever is asked for besides.
        with_margin: Give the margin.
        with_probabilities: Give every foreground class's probability.
        guidance: How similarities are upsampled and refined by the image; None for not at all.
        guide: The image, where there is guidance.
        evidence: Gives the evidence of classes in a window of pixels; None for none at all.
        rows: First row of pixels to label, and the first one after them. Default: all.
    """

    def __init__(
        self,
        shape: Shape,
        cells: Shape,
        cell_size: tuple[float, float],
        legend: Legend,
        layout: Layout,
        *,
        logit_scale: float,
        score: Score = "class",
        threshold: float | None = None,
        with_score: bool = False,
        with_margin: bool = False,
        with_probabilities: bool = False,
        guidance: Guidance | None = None,
        guide: Guide | None = None,
        evidence: Callable[[Window], ClassEvidence] | None = None,
        rows: tuple[int, int] | None = None,
    ) -> None:
        self._shape = shape
        self._guidance, self._guide = guidance or Guidance(), guide
        self._upsampler: Bilinear | JointBilateral = Bilinear(shape, cells, cell_size)
        if self._guidance.reach:
            assert guide is not None
            self._upsampler = JointBilateral(shape, cells, cell_size, guide, self._guidance.reach)
        self._layout = layout
        self._values = np.array([item.value for item in legend.classes], legend.dtype)
        self._scale = np.float32(logit_scale)
        self._paper = score == "paper"
        self._thresholds = np.array(
            [
                (item.threshold if item.threshold is not None else threshold) or 0
                for item in legend.classes
            ],
            np.float32,
        )
        self._with_score = with_score
        self._with_margin = with_margin
        self._foreground = len(legend.foreground) if with_probabilities else 0
        self._scored = (
            with_score or with_margin or with_probabilities or bool(self._thresholds.any())
        )
        self._evidence = evidence
        self._halo = self._guidance.halo
        self._step, self._columns = max(CHUNK_PIXELS // shape[1], 1), 0
        if self._guidance:
            queries = sum(map(len, [*layout.words, *layout.negatives]))
            self._step, self._columns = self._guidance.block_shape(shape[1], queries)
        self._held: Rows | None = None
        self._next_row, self._stop = rows or (0, shape[0])

    def cells_of(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first patch row that some rows of pixels need, and the first one after."""
        first, last = max(start - self._halo, 0), min(stop + self._halo, self._shape[0]) - 1
        return int(self._upsampler.low[first]), int(self._upsampler.high[last]) + 1

    def add(self, rows: Rows) -> Iterator[LabelStrip]:
        """Take the next patch rows and yield the pixel rows that they complete.

        Args:
            rows: The rows that follow the last ones added.
        """
        held = rows if self._held is None else _join(self._held, rows)
        stop = held.start + held.covered.shape[0]
        last = int(np.searchsorted(self._upsampler.high, stop))
        if last < self._shape[0]:
            last -= self._halo
        last = max(min(last, self._stop), self._next_row)
        if self._guidance and last < self._stop:
            # Whole strips only: each costs its halo.
            last -= (last - self._next_row) % self._step
        for start in range(self._next_row, last, self._step):
            yield self._strip(held, start, min(start + self._step, last))
        self._next_row = last
        # The next strip begins between the last patch row and the one to come.
        first = max(last - self._halo, 0)
        keep = int(self._upsampler.low[first]) - held.start if last < self._shape[0] else 0
        keep = min(keep, held.covered.shape[0])
        self._held = Rows(
            held.start + keep, held.similarities[:, keep:].copy(), held.covered[keep:].copy()
        )

    def state(self) -> dict[str, np.ndarray]:
        """Return the rows still needed, which `restore` goes on from; nothing before the first."""
        if self._held is None:
            return {}
        return {
            "held": self._held.similarities,
            "covered": self._held.covered,
            "held_start": np.asarray(self._held.start),
            "next_row": np.asarray(self._next_row),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state of the same scene and settings."""
        if "held" in state:
            self._held = Rows(int(state["held_start"]), state["held"], state["covered"])
            self._next_row = int(state["next_row"])

    def _strip(self, held: Rows, start: int, stop: int) -> LabelStrip:
        shape = (stop - start, self._shape[1])
        labels = np.empty(shape, self._values.dtype)
        score = np.empty(shape, np.float32) if self._with_score else None
        margin = np.empty(shape, np.float32) if self._with_margin else None
        probabilities = np.empty((self._foreground, *shape), np.uint8) if self._foreground else None
        pixels = min(CHUNK_PIXELS, _CHUNK_LOGITS // max(self._foreground, 1))
        step = self._columns or max(pixels // (stop - start), 1)
        for first in range(0, shape[1], step):
            columns = slice(first, min(first + step, shape[1]))
            window = Window(start, first, stop - start, columns.stop - first)
            query_values, cover = (
                self._refined(held, window)
                if self._guidance.dilations
                else self._upsampler.values(held, window)
            )
            choice = self._label(query_values, window)
            chosen = self._values[choice.labels]
            if choice.score is not None:
                chosen[choice.score < self._thresholds[choice.labels]] = 0
            # No window saw anything here: a valid pixel, if there is one, stays unclassified.
            unseen = None if cover is None else cover == 0
            for target, values in (
                (labels, chosen),
                (score, choice.score),
                (margin, choice.margin),
                (probabilities, choice.probabilities),
            ):
                if target is not None and values is not None:
                    if unseen is not None:
                        values[..., unseen] = 0
                    target[..., columns] = values
        return LabelStrip(start, labels, score, margin, probabilities)

    def _refined(self, held: Rows, window: Window) -> tuple[Values, FloatArray | None]:
        """Return what the upsampler does, refined by the image."""
        assert self._guide is not None
        height, width = self._shape
        top, left = max(window.row - self._halo, 0), max(window.col - self._halo, 0)
        bottom = min(window.row_stop + self._halo, height)
        right = min(window.col_stop + self._halo, width)
        around = Window(top, left, bottom - top, right - left)
        values, cover = self._upsampler.values(held, around)
        image, valid = self._guide.pixels(around)
        if cover is not None:
            valid = valid & (cover > 0)
        if not valid.any():
            return self._upsampler.values(held, window)
        cut = top > 0, bottom < height, left > 0, right < width
        refiner = PixelRefiner(image, valid, cut, self._guidance.dilations)
        own = np.s_[
            window.row - top : window.row_stop - top, window.col - left : window.col_stop - left
        ]
        return lambda query: refiner.refine(values(query))[own], None if cover is None else cover[
            own
        ]

    def _label(self, values: Values, window: Window) -> LabelStrip:
        """Return a chunk of a strip, with each pixel's class position as its label."""
        shape, evidence = window.shape, self._evidence and self._evidence(window)
        best = np.full(shape, -np.inf, np.float32)
        label = np.zeros(shape, np.int32)
        total = np.zeros(shape, np.float32) if self._scored else None
        second = best.copy() if self._with_margin else None
        logits = np.full((self._foreground, *shape), -np.inf, np.float32)
        for position, queries in enumerate(self._layout.words):
            words = [values(query) for query in queries]
            negatives = [values(query) for query in self._layout.negatives[position]]
            bias = np.float32(self._layout.bias[position])
            if not words:
                continue
            strongest: FloatArray = class_value(
                words, negatives, self._layout.synonyms, self._scale
            )
            added = evidence(position) if evidence else None
            if added is not None or bias:
                strongest = strongest + (bias + (0 if added is None else added)) / self._scale
            if total is not None and self._paper:
                # What lowers or lifts the class does so with each of its words.
                shift = strongest - functools.reduce(np.maximum, words)
                reached = best.copy()
                for value in words:
                    _accumulate(total, reached, value + shift, self._scale)
                    np.maximum(reached, value + shift, out=reached)
            elif total is not None:
                _accumulate(total, best, strongest, self._scale)
            if second is not None:
                np.maximum(second, np.minimum(best, strongest), out=second)
            if position < self._foreground:
                logits[position] = strongest
            np.copyto(label, position, where=strongest > best)
            np.maximum(best, strongest, out=best)
        if total is None:
            return LabelStrip(0, label, None)
        # The best logit's own share of the softmax: exp(0) over the sum.
        score = np.reciprocal(total)
        margin = None if second is None else score * (1 - self._ratio(second, best))
        if not self._foreground:
            return LabelStrip(0, label, score, margin)
        probabilities = np.empty(logits.shape, np.uint8)
        for position, own in enumerate(logits):
            # A class's share is the best one's times the ratio of the two exponentials: so in
            # the papers' softmax over all words too, where a class has the best of its words.
            probabilities[position] = percent(score * self._ratio(own, best))
        return LabelStrip(0, label, score, margin, probabilities)

    def _ratio(self, logit: FloatArray, best: FloatArray) -> FloatArray:
        """Return exp(scale * logit) / exp(scale * best)."""
        ratio: FloatArray = np.exp(self._scale * (logit - best))
        return ratio


def _join(first: Rows, second: Rows) -> Rows:
    return Rows(
        first.start,
        np.concatenate([first.similarities, second.similarities], axis=1),
        np.concatenate([first.covered, second.covered]),
    )


def _accumulate(total: FloatArray, best: FloatArray, value: FloatArray, scale: np.float32) -> None:
    """Add exp(scale * value) to a running softmax sum held relative to the running maximum."""
    maximum = np.maximum(best, value)
    # -inf - finite is -inf: exp gives the empty sum's 0.
    total *= np.exp(scale * (best - maximum))
    total += np.exp(scale * (value - maximum))
