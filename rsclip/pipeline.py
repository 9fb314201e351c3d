"""Scene and words in, georeferenced mask out: the one place that wires the stages.

reader thread:  scene -> tiles -> chips -> batches
caller:         batches -> similarities -> stitcher -> finished patch rows
writer thread:  patch rows -> label strips -> mask
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rsclip.concurrency import Worker, prefetch
from rsclip.config import DEFAULT_OVERLAP, SegmentConfig
from rsclip.ground import GroundArea
from rsclip.labelling import Labeller, LabelStrip, percent
from rsclip.legend import Legend
from rsclip.radiometry import Radiometry, fit
from rsclip.scene import Scene, gdal_env
from rsclip.stitcher import Stitcher
from rsclip.tiling import Grid, choose_stride
from rsclip.types import Chip, FloatArray, Rows, Shape, Tile, Window
from rsclip.writers.cog import CogWriter
from rsclip.writers.mask import MaskWriter
from rsclip.writers.scores import NO_SCORE

__all__ = ["Encoder", "Progress", "SceneRun", "plan_grid"]

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""

_QUEUE_DEPTH = 2
# Rows of the scene's mask read at once: small beside a window row's similarities, large enough
# that its blocks are not decoded over and over.
_VALID_ROWS = 128
# In pieces: reading a mask takes several times the memory of the labels.
_VALID_COLUMNS = 4096


class Patched(Protocol):
    """What windows are laid by."""

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""

    @property
    def window(self) -> Shape:
        """(height, width) in pixels that the model was trained on."""


class Encoder(Patched, Protocol):
    """What the pipeline asks of a model: images in, similarities on the patch grid out."""

    @property
    def batch_size(self) -> int:
        """Windows per call."""

    @property
    def queries(self) -> int:
        """Number of queries Q."""

    def similarities(self, images: FloatArray) -> FloatArray:
        """Return cosines float32 (B, Q, h, w) for images float32 (B, 3, H, W) in 0..1."""


@dataclass(frozen=True, slots=True)
class _Batch:
    tiles: list[Tile]
    images: FloatArray
    done: int  # windows read so far, the skipped ones included


@dataclass(slots=True)
class Counts:
    """What a run counted.

    Attributes:
        windows: Windows of the grid.
        skipped: Windows without a valid pixel, which the encoder never saw.
        pixels: int64 (values,) pixels of each label value, nodata included.
        m2: float64 (values,) their true ground area; None where the scene has no place on Earth.
        confidence: float64 (values,) sums of their scores (0 to 1); None if none was computed.
        seconds: Wall time of the stages.
    """

    windows: int
    skipped: int
    pixels: np.ndarray
    m2: np.ndarray | None
    confidence: np.ndarray | None
    seconds: dict[str, float]


def plan_grid(shape: Shape, model: Patched, config: SegmentConfig) -> Grid:
    """Lay the windows of a configuration over a working grid.

    Raises:
        OptionError: The window or stride does not fit the model's patch.
    """
    window = (config.window, config.window) if config.window else model.window
    overlap = DEFAULT_OVERLAP if config.overlap is None else config.overlap
    stride = choose_stride(window, model.patch, stride=config.stride, overlap=overlap)
    return Grid(shape, window, stride, model.patch)


class SceneRun:
    """One scene on its way through an encoder into a mask.

    Args:
        scene: An open scene.
        encoder: Gives similarities.
        legend: Classes.
        class_index: Position in `legend.classes` of each of the encoder's queries.
        config: Settings.

    Raises:
        OptionError: The window or stride does not fit the model's patch.
    """

    def __init__(
        self,
        scene: Scene,
        encoder: Encoder,
        legend: Legend,
        class_index: Sequence[int],
        config: SegmentConfig,
    ) -> None:
        self._scene = scene
        self._encoder = encoder
        self._legend = legend
        self._class_index = class_index
        self._config = config
        self.grid = plan_grid(scene.working_shape, encoder, config)
        self.radiometry: Radiometry | None = None

    def write(
        self,
        writer: MaskWriter,
        progress: Progress | None = None,
        scores: Mapping[str, CogWriter] | None = None,
    ) -> Counts:
        """Segment the scene into an open mask writer.

        Args:
            writer: Takes the labels.
            progress: Called with (windows done, windows in all).
            scores: Writers of what is asked for besides: "confidence", "margin", "probabilities".
                Labels are the same with and without them.

        Raises:
            RunError: A read, the encoder or a write failed.
        """
        began = time.perf_counter()
        config, grid = self._config, self.grid
        self.radiometry = fit(self._scene, config.stretch)
        fitted = time.perf_counter()
        stitcher = Stitcher(grid, self._encoder.queries, config.blend)
        rows_scale, cols_scale = self._scene.scale
        labeller = Labeller(
            self._scene.shape,
            grid.cells,
            (grid.patch * rows_scale, grid.patch * cols_scale),
            self._legend,
            self._class_index,
            logit_scale=config.logit_scale,
            score=config.score,
            threshold=config.threshold,
            # Where the score is worked out anyway, its mean is known for nothing.
            with_score=bool(scores) or self._has_threshold(),
            with_margin="margin" in (scores or ()),
            with_probabilities="probabilities" in (scores or ()),
        )
        encode_seconds, seen = 0.0, 0
        with self._scene.reopen() as own:
            sink = _Sink(own, writer, scores or {}, self._legend.nodata)

            def finish(rows: Rows) -> None:
                with gdal_env():
                    for strip in labeller.add(rows):
                        sink.add(strip)

            with Worker(finish, _QUEUE_DEPTH) as worker:
                row = 0
                for batch in prefetch(self._batches(self.radiometry), _QUEUE_DEPTH):
                    start = time.perf_counter()
                    similarities = self._encoder.similarities(batch.images) if batch.tiles else ()
                    encode_seconds += time.perf_counter() - start
                    for tile, one in zip(batch.tiles, similarities, strict=True):
                        while grid.row_starts[row] < tile.window.row:
                            worker.put(stitcher.take(grid.final_cell_rows(row)))
                            row += 1
                        stitcher.add(tile, one)
                    seen += len(batch.tiles)
                    if progress is not None:
                        progress(batch.done, len(grid))
                for last in range(row, len(grid.row_starts)):
                    worker.put(stitcher.take(grid.final_cell_rows(last)))
        encoded = time.perf_counter()
        if config.sieve is not None:
            writer.sieve(config.sieve)
            sink.recount()
        for each in (writer, *(scores or {}).values()):
            each.finish()
        finished = time.perf_counter()
        seconds = {
            "stretch": fitted - began,
            "windows": encoded - fitted,
            "of which encoder": encode_seconds,
            "write": finished - encoded,
            "total": finished - began,
        }
        return Counts(len(grid), len(grid) - seen, sink.pixels, sink.m2, sink.confidence, seconds)

    def _has_threshold(self) -> bool:
        own = (item.threshold for item in self._legend.classes)
        return any(value is not None for value in (self._config.threshold, *own))

    def chips(self, radiometry: Radiometry) -> Iterator[Chip | None]:
        """Yield each tile's chip in row-major order; None for one without a valid pixel."""
        with self._scene.reopen() as scene:
            for tile in self.grid.tiles():
                pixels, valid = scene.read(tile.window)
                yield Chip(tile, radiometry.apply(pixels, valid), valid) if valid.any() else None

    def _batches(self, radiometry: Radiometry) -> Iterator[_Batch]:
        size = self._encoder.batch_size
        with gdal_env():
            waiting: list[Chip] = []
            done = 0
            for chip in self.chips(radiometry):
                done += 1
                if chip is not None:
                    waiting.append(chip)
                if len(waiting) == size:
                    yield _batch(waiting, done)
                    waiting = []
            yield _batch(waiting, done)


class _Sink:
    """Put nodata into label strips, count them and hand them to the writers.

    Attributes:
        pixels, m2, confidence: As in `Counts`.
    """

    def __init__(
        self, scene: Scene, writer: MaskWriter, scores: Mapping[str, CogWriter], nodata: int
    ) -> None:
        self._scene = scene
        self._writer = writer
        self._writers = scores
        self._nodata = nodata
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
        for start, (labels,) in self._writer.reread():
            score = None
            if others is not None:
                score = next(others)[1][0] / np.float32(100)
            self._count(start, labels, score)

    def _write(self, strip: LabelStrip, part: slice, nodata: np.ndarray) -> None:
        start, labels = strip.start + part.start, strip.labels[part]
        labels[nodata] = self._nodata
        self._count(start, labels, None if strip.score is None else strip.score[part])
        self._writer.write(start, labels)
        for name, writer in self._writers.items():
            if name == "probabilities":
                assert strip.probabilities is not None
                values = strip.probabilities[:, part]
            else:
                share = strip.score if name == "confidence" else strip.margin
                assert share is not None
                values = percent(share[part])
            values[..., nodata] = NO_SCORE
            writer.write(start, values)

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


def _batch(chips: Iterable[Chip], done: int) -> _Batch:
    chips = list(chips)
    images = np.stack([chip.image for chip in chips]) if chips else np.empty(0, np.float32)
    return _Batch([chip.tile for chip in chips], images, done)
