"""How masks of one scene agree with one another and with the truth, counted strip by strip."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import ReadError
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.study.metrics import Confusion, overall_scores
from rsclip.study.truth_classes import as_labels_tell, catch_all
from rsclip.study.truth_grids import Labels
from rsclip.types import Shape, Window
from rsclip.words.legend import Legend

__all__ = ["Agreement", "count_agreement"]

_PIXELS = 1 << 22

Labelled = NDArray[np.int32]


class Agreement:
    """Counts of what masks say of the same pixels.

    Arrays by class are by legend value: 0 for unclassified, then 1..N.

    Args:
        labels: What the masks are called.
        legend: Classes.
        lacking: Legend values that the truth does not have.

    Attributes:
        pairs: Two masks' labels -> their confusion; as IoU does not know which one is the truth,
            it is the same either way.
        scores: Mask -> its confusion with the truth; empty without truth.
        unanimous: int64 (classes,) pixels that all masks give a class.
        anyone: int64 (classes,) pixels that at least one mask gives it.
        valid: Pixels with data.
        truth: int32 (h, w), the truth's legend values on a coarse grid; None without.
    """

    def __init__(
        self, labels: Sequence[str], legend: Legend, lacking: Collection[int] = ()
    ) -> None:
        self._labels = labels
        self._nodata = legend.nodata
        self._lacking = lacking
        self._other = catch_all(legend)
        count = len(legend.names)
        self.pairs = {pair: Confusion(count) for pair in itertools.combinations(labels, 2)}
        self.scores: dict[str, Confusion] = {}
        self.unanimous = np.zeros(count, np.int64)
        self.anyone = np.zeros(count, np.int64)
        self.valid = 0
        self.truth: Labelled | None = None

    def add(self, masks: Sequence[np.ndarray], truth: Labelled | None) -> None:
        """Add a strip: each mask's values, and the truth's (negative where unknown)."""
        count = len(self.anyone)
        wide = (np.where(mask == self._nodata, -1, mask.astype(np.int32)) for mask in masks)
        found = dict(zip(self._labels, wide, strict=True))
        first = found[self._labels[0]]
        valid = first >= 0
        self.valid += int(valid.sum())
        for (one, other), confusion in self.pairs.items():
            confusion.add(found[one], found[other])
        same = np.logical_and.reduce([valid, *(each == first for each in found.values())])
        self.unanimous += np.bincount(first[same], minlength=count)
        for value in range(count):
            given = np.logical_or.reduce([each == value for each in found.values()])
            self.anyone[value] += int(given.sum())
        if truth is None:
            return
        known = np.where(valid, truth, -1)
        for label, each in found.items():
            judged = as_labels_tell(known, each, self._lacking)
            self.scores.setdefault(label, Confusion(count)).add(known, judged)

    def miou_without_other(self, label: str) -> float:
        """Return the mean IoU of a mask over the truth's classes but the catch-all; NaN of none."""
        found = overall_scores(self.scores[label].sums, self._other)
        return float(found["miou_without_other"])

    @property
    def consent(self) -> NDArray[np.float64]:
        """Pixels that all masks give a class, of those that any gives it (0 to 1)."""
        share: NDArray[np.float64] = np.divide(
            self.unanimous, self.anyone,
            out=np.full(len(self.anyone), np.nan), where=self.anyone > 0,
        )  # fmt: skip
        return share

    @property
    def overall(self) -> float:
        """Share of the valid pixels on which all masks say the same; NaN without any."""
        return float(self.unanimous.sum() / self.valid) if self.valid else float("nan")


def count_agreement(
    masks: Mapping[str, Path], legend: Legend, truth: Labels | None, coarse: Shape
) -> Agreement:
    """Read masks of one grid strip by strip, and the truth beside them.

    Args:
        masks: What each is called, and its file.
        legend: Classes.
        truth: On the same grid.
        coarse: (height, width) of the truth's coarse picture.

    Raises:
        ReadError: A mask or the truth cannot be read.
    """
    lacking = () if truth is None else {*legend.names} - {0, *truth.classes}
    agreement = Agreement(list(masks), legend, lacking)
    folder = next(iter(masks.values())).parent
    with guarded(folder, ReadError, what="a mask cannot be read again"), ExitStack() as stack:
        opened = [stack.enter_context(open_dataset(path)) for path in masks.values()]
        height, width = opened[0].shape
        picture = _Coarse((height, width), coarse) if truth is not None else None
        step = max(_PIXELS // width, 1)
        for row in range(0, height, step):
            window = Window(row, 0, min(step, height - row), width)
            place = RasterioWindow(0, row, width, window.height)
            known = truth.read(window) if truth is not None else None
            agreement.add([each.read(1, window=place) for each in opened], known)
            if picture is not None and known is not None:
                picture.add(row, known)
    if picture is not None:
        agreement.truth = picture.pixels
    return agreement


class _Coarse:
    """The nearest pixels of a coarse grid, taken as strips go by."""

    def __init__(self, shape: Shape, coarse: Shape) -> None:
        # A pixel of the coarse grid shows the one under its centre.
        self._rows, self._cols = (
            ((np.arange(small) + 0.5) * large / small).astype(np.int64)
            for small, large in zip(coarse, shape, strict=True)
        )
        self.pixels: Labelled = np.empty(coarse, np.int32)

    def add(self, start: int, values: Labelled) -> None:
        first, stop = np.searchsorted(self._rows, (start, start + len(values)))
        self.pixels[first:stop] = values[self._rows[first:stop] - start][:, self._cols]
