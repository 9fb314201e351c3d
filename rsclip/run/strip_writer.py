"""Where finished label strips go: nodata put in, counted, and on to every writer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from rsclip.geo.area import GroundArea
from rsclip.labelling.labeller import LabelStrip, percent
from rsclip.outputs.rasters.scores import NO_SCORE
from rsclip.run.checkpoint import Checkpoint, State
from rsclip.scene.scene import Scene
from rsclip.types import Window

__all__ = ["MASK", "Nowhere", "RowWriter", "StripWriter"]

MASK = "mask"

# Rows of the scene's mask read at once: small beside a window row's similarities, large enough
# that its blocks are not decoded over and over.
_VALID_ROWS = 128
# In pieces: reading a mask takes several times the memory of the labels.
_VALID_COLUMNS = 4096


class RowWriter(Protocol):
    """What takes rows in order."""

    def write(self, row: int, pixels: np.ndarray) -> None:
        """Write rows from `row` on."""

    def reread(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield what was written, when all rows are: number of the first row, (C, n, W)."""


class Nowhere:
    """Takes rows that a checkpoint's log alone keeps."""

    def write(self, row: int, pixels: np.ndarray) -> None:
        """Do nothing."""

    def reread(self) -> Iterator[tuple[int, np.ndarray]]:
        """Raise: nothing is kept."""
        raise NotImplementedError


class StripWriter:
    """Put nodata into label strips, count them and hand them to the writers.

    Args:
        scene: Tells which pixels are valid; for use in this thread.
        writers: "mask", and of the scores what is asked for.
        nodata: The label of pixels without data.
        checkpoint: Logs what is written, if given.

    Attributes:
        pixels, m2, confidence: As in `pipeline.Counts`.
    """

    def __init__(
        self,
        scene: Scene,
        writers: Mapping[str, RowWriter],
        nodata: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._scene = scene
        self._writers = writers
        self._nodata = nodata
        self._checkpoint = checkpoint
        self._ground = GroundArea.measure(scene.crs, scene.transform, scene.shape)
        self._valid = np.empty((0, scene.shape[1]), np.bool_)
        self._valid_start = 0
        self.pixels = np.zeros(nodata + 1, np.int64)
        self._m2 = np.zeros(nodata + 1)
        self._confidence = np.zeros(nodata + 1)
        self._scored = False

    @property
    def m2(self) -> np.ndarray | None:
        """Ground area of each label value."""
        return None if self._ground is None else self._m2

    @property
    def confidence(self) -> np.ndarray | None:
        """Sum of scores of each label value."""
        return self._confidence if self._scored else None

    def state(self) -> State:
        """Return what `restore` goes on from."""
        return {
            "pixels": self.pixels,
            "m2": self._m2,
            "confidence": self._confidence,
            "scored": np.asarray(self._scored),
            "unreadable": np.array([tuple(each) for each in self._scene.unreadable], np.int64),
        }

    def restore(self, state: State, checkpoint: Checkpoint) -> None:
        """Go on after what a checkpoint holds: its rows are written again, its counts added."""
        self.pixels += state["pixels"]
        self._m2 += state["m2"]
        self._confidence += state["confidence"]
        self._scored |= bool(state["scored"])
        for place in state["unreadable"].reshape(-1, 4).tolist():
            self._scene.unreadable.add(Window(*place))
        for name, row, pixels in checkpoint.replay():
            self._writers[name].write(row, pixels)

    def fold(self, values: Sequence[int]) -> None:
        """Count what has these labels as unclassified."""
        for sums in (self.pixels, self._m2, self._confidence):
            sums[0] += sums[values].sum()
            sums[values] = 0

    def add(self, strip: LabelStrip) -> None:
        """Write the next strip."""
        rows = len(strip.labels)
        done = 0
        while done < rows:
            valid = self._valid_from(strip.start + done)
            part = slice(done, min(done + len(valid), rows))
            done = part.stop
            self._write(strip, part, ~valid[: part.stop - part.start])

    def recount(self) -> None:
        """Count again what the mask holds by now."""
        self.pixels[:] = 0
        self._m2[:] = 0
        self._confidence[:] = 0
        scores = self._writers.get("confidence")
        # Scores are known for each pixel only where they were written.
        self._scored = scores is not None
        others = scores.reread() if scores is not None else None
        for start, (labels,) in self._writers[MASK].reread():
            score = None
            if others is not None:
                score = next(others)[1][0] / np.float32(100)
            self._count(start, labels, score)

    def _write(self, strip: LabelStrip, part: slice, nodata: np.ndarray) -> None:
        start, labels = strip.start + part.start, strip.labels[part]
        labels[nodata] = self._nodata
        self._count(start, labels, None if strip.score is None else strip.score[part])
        for name, writer in self._writers.items():
            if name == MASK:
                values = labels
            else:
                values = _scores(strip, name, part)
                values[..., nodata] = NO_SCORE
            writer.write(start, values)
            if self._checkpoint is not None:
                self._checkpoint.add(name, start, values)

    def _count(self, start: int, labels: np.ndarray, score: np.ndarray | None) -> None:
        size = len(self.pixels)
        ground = None if self._ground is None else self._ground.rows(start, start + len(labels))
        self._scored = score is not None
        # Row by row: bincount works on a copy of eight bytes a pixel, and sums of whole rows are
        # the same however the strips were cut.
        for index, row in enumerate(labels):
            counts = np.bincount(row, minlength=size)
            self.pixels += counts
            if ground is not None:
                area = ground[index]
                self._m2 += (
                    counts * area if len(area) == 1 else np.bincount(row, area, minlength=size)
                )
            if score is not None:
                self._confidence += np.bincount(row, score[index], minlength=size)

    def _valid_from(self, row: int) -> np.ndarray:
        """Return which pixels are valid from a row to the end of its group of rows."""
        group = row - row % _VALID_ROWS
        if not len(self._valid) or group != self._valid_start:
            height, width = self._scene.shape
            rows = min(_VALID_ROWS, height - group)
            self._valid = np.empty((rows, width), np.bool_)
            self._valid_start = group
            for col in range(0, width, _VALID_COLUMNS):
                window = Window(group, col, rows, min(_VALID_COLUMNS, width - col))
                self._valid[:, col : window.col_stop] = self._scene.read_valid(window)
        return self._valid[row - group :]


def _scores(strip: LabelStrip, name: str, part: slice) -> np.ndarray:
    """Return a score raster's rows, percent."""
    if name == "probabilities":
        assert strip.probabilities is not None
        return strip.probabilities[:, part]
    share = strip.score if name == "confidence" else strip.margin
    assert share is not None
    return percent(share[part])
