"""From finished rows of the patch grid to labels of pixels, a strip at a time.

Similarities are interpolated bilinearly between patch centres (half-pixel centres, clamped at the
border), one class at a time with a running maximum: memory is a few planes of one strip, whatever
the number of classes. Every operation works on single pixels, so that the cut into strips and
chunks never changes a value. Refined values (refinement.py) come from further away: they are worked
out with as many pixels more around a chunk.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rsclip.labelling.refinement import NEIGHBOURS, PixelRefiner, Refinement, halo_of
from rsclip.types import FloatArray, Rows, Score, Shape, Window
from rsclip.words.class_scores import Layout, class_value
from rsclip.words.legend import Legend

__all__ = ["REFINED_COPIES", "ClassEvidence", "LabelStrip", "Labeller", "block_of", "percent"]

_CHUNK_PIXELS = 1 << 18
# Logits that are held at once where every class's probability is asked for: 16 MB.
_CHUNK_LOGITS = 1 << 22
# Refined strips are higher, as each is worked out with a halo, but of no more pixels than this.
_REFINED_ROWS = 512
_REFINED_PIXELS = 1 << 22
_REFINED_COLUMNS = 256
_LEAST_REFINED = 64
REFINED_COPIES = 2
"""Of every pixel's affinities to its neighbours: as they are, and normalised."""

_Values = Callable[[int], FloatArray]
ClassEvidence = Callable[[int], FloatArray | None]
"""Gives what is added to the logit of the class at a position: float32 (h, w), None for nothing."""


def block_of(
    columns: int, dilations: Sequence[int], room: int | None = None
) -> tuple[int, int, int]:
    """Return (height, width, neighbours) of the largest block refined at once, its halo included.

    Args:
        columns: Of the scene.
        dilations: Of the refinement.
        room: Bytes for it, where memory is limited.
    """
    rows, width = _refined_shape(columns, dilations, room)
    halo = 2 * halo_of(dilations)
    return rows + halo, min(width + halo, columns), NEIGHBOURS * len(dilations)


def _refined_shape(columns: int, dilations: Sequence[int], room: int | None) -> Shape:
    """Return (height, width) of a refined block without its halo; no value depends on it."""
    rows = min(max(_REFINED_PIXELS // columns, 1), _REFINED_ROWS)
    width = min(max(_CHUNK_PIXELS // rows, _REFINED_COLUMNS), columns)
    if room is not None:
        pixel = REFINED_COPIES * NEIGHBOURS * len(dilations) * np.float32().nbytes
        side = max(math.isqrt(room // pixel) - 2 * halo_of(dilations), _LEAST_REFINED)
        rows, width = min(rows, side), min(width, side)
    return rows, width


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
        refinement: Refine the similarities by an image; None leaves them as they are.
        evidence: Gives the evidence of classes in a window of pixels; None for none at all.
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
        refinement: Refinement | None = None,
        evidence: Callable[[Window], ClassEvidence] | None = None,
    ) -> None:
        self._shape = shape
        self._rows = _Axis(shape[0], cells[0], cell_size[0])
        self._cols = _Axis(shape[1], cells[1], cell_size[1])
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
        self._refinement = refinement
        self._evidence = evidence
        self._halo = refinement.halo if refinement else 0
        self._step, self._columns = max(_CHUNK_PIXELS // shape[1], 1), 0
        if refinement:
            self._step, self._columns = _refined_shape(
                shape[1], refinement.dilations, refinement.room
            )
        self._held: Rows | None = None
        self._next_row = 0

    def add(self, rows: Rows) -> Iterator[LabelStrip]:
        """Take the next patch rows and yield the pixel rows that they complete.

        Args:
            rows: The rows that follow the last ones added.
        """
        held = rows if self._held is None else _join(self._held, rows)
        stop = held.start + held.covered.shape[0]
        last = self._rows.complete_below(stop)
        if self._refinement and last < self._shape[0]:
            # Whole strips only: each costs its halo.
            ready = max(last - self._halo - self._next_row, 0)
            last = self._next_row + ready // self._step * self._step
        for start in range(self._next_row, last, self._step):
            yield self._strip(held, start, min(start + self._step, last))
        self._next_row = last
        # The next strip begins between the last patch row and the one to come.
        first = max(last - self._halo, 0)
        keep = int(self._rows.low[first]) - held.start if last < self._shape[0] else 0
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
        pixels = min(_CHUNK_PIXELS, _CHUNK_LOGITS // max(self._foreground, 1))
        step = self._columns or max(pixels // (stop - start), 1)
        for first in range(0, shape[1], step):
            columns = slice(first, min(first + step, shape[1]))
            window = Window(start, first, stop - start, columns.stop - first)
            query_values, cover = (
                self._refined(held, window)
                if self._refinement
                else self._interpolated(held, window)
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

    def _interpolated(self, held: Rows, window: Window) -> tuple[_Values, FloatArray | None]:
        """Return the similarities of pixels, query by query, and how far patches were covered.

        Returns:
            A function from query to float32 (n, w), and float32 (n, w) of 0..1, 0 where no window
            saw anything; None where every patch was covered.
        """
        rows, columns = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
        low, high = self._rows.low[rows] - held.start, self._rows.high[rows] - held.start
        part = self._rows.part[rows, None]
        # Only the patch columns under this chunk are interpolated along the rows.
        left = int(self._cols.low[columns][0])
        right = int(self._cols.high[columns][-1]) + 1
        across = (
            self._cols.low[columns] - left,
            self._cols.high[columns] - left,
            self._cols.part[columns],
        )
        cover: FloatArray | None = None
        if not held.covered[low[0] : high[-1] + 1, left:right].all():
            covered = held.covered[:, left:right].astype(np.float32)
            cover = _across(_lerp(covered[low], covered[high], part), *across)
        patches = held.similarities[:, :, left:right]
        mixed = _lerp(patches[:, low], patches[:, high], part)

        def values(query: int) -> FloatArray:
            value = _across(mixed[query], *across)
            if cover is not None:
                # Patches that no window covered hold zero: weigh them out.
                value /= np.where(cover > 0, cover, 1)
            return value

        return values, cover

    def _refined(self, held: Rows, window: Window) -> tuple[_Values, FloatArray | None]:
        """Return what `_interpolated` does, refined by the guide."""
        assert self._refinement is not None
        height, width = self._shape
        top, left = max(window.row - self._halo, 0), max(window.col - self._halo, 0)
        bottom = min(window.row_stop + self._halo, height)
        right = min(window.col_stop + self._halo, width)
        around = Window(top, left, bottom - top, right - left)
        values, cover = self._interpolated(held, around)
        image, valid = self._refinement.guide(around)
        if cover is not None:
            valid = valid & (cover > 0)
        if not valid.any():
            return self._interpolated(held, window)
        cut = top > 0, bottom < height, left > 0, right < width
        refiner = PixelRefiner(image, valid, cut, self._refinement.dilations)
        own = np.s_[
            window.row - top : window.row_stop - top, window.col - left : window.col_stop - left
        ]
        return lambda query: refiner.refine(values(query))[own], None if cover is None else cover[
            own
        ]

    def _label(self, values: _Values, window: Window) -> LabelStrip:
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


class _Axis:
    """Where the pixels of one axis lie between patch centres.

    Attributes:
        low, high: int64 (pixels,) patch before and after each pixel's centre.
        part: float32 (pixels,) in 0..1, the weight of `high`.
    """

    def __init__(self, pixels: int, cells: int, cell_size: float) -> None:
        position = np.clip((np.arange(pixels) + 0.5) / cell_size - 0.5, 0, cells - 1)
        self.low = np.minimum(np.floor(position).astype(np.int64), max(cells - 2, 0))
        self.high = np.minimum(self.low + 1, cells - 1)
        self.part = (position - self.low).astype(np.float32)

    def complete_below(self, cells: int) -> int:
        """Return how many leading pixels need only the first `cells` patches."""
        return int(np.searchsorted(self.high, cells))


def _join(first: Rows, second: Rows) -> Rows:
    return Rows(
        first.start,
        np.concatenate([first.similarities, second.similarities], axis=1),
        np.concatenate([first.covered, second.covered]),
    )


def _lerp(low: FloatArray, high: FloatArray, part: FloatArray) -> FloatArray:
    mixed = high - low
    mixed *= part
    mixed += low
    return mixed


def _across(rows: FloatArray, low: np.ndarray, high: np.ndarray, part: FloatArray) -> FloatArray:
    """Interpolate (n, columns of patches) to (n, columns of pixels)."""
    return _lerp(rows[:, low], rows[:, high], part)


def _accumulate(total: FloatArray, best: FloatArray, value: FloatArray, scale: np.float32) -> None:
    """Add exp(scale * value) to a running softmax sum held relative to the running maximum."""
    maximum = np.maximum(best, value)
    # -inf - finite is -inf: exp gives the empty sum's 0.
    total *= np.exp(scale * (best - maximum))
    total += np.exp(scale * (value - maximum))
