"""Scene and words in, georeferenced mask out: the one place that wires the stages.

reader thread:  scene -> tiles -> chips -> batches
caller:         batches -> similarities -> stitcher -> finished patch rows
writer thread:  patch rows -> label strips -> mask
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rsclip.concurrency import Worker, prefetch
from rsclip.config import SegmentConfig
from rsclip.labelling import Labeller, LabelStrip
from rsclip.legend import Legend
from rsclip.radiometry import Radiometry, fit
from rsclip.scene import Scene, gdal_env
from rsclip.stitcher import Stitcher
from rsclip.tiling import Grid, choose_stride
from rsclip.types import Chip, FloatArray, Rows, Shape, Tile, Window
from rsclip.writers.mask import MaskWriter

__all__ = ["Encoder", "Progress", "SceneRun", "plan_grid"]

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""

DEFAULT_OVERLAP = 0.5
_QUEUE_DEPTH = 2
# Rows of labels written at once: a multiple of the temporary file's strips, small beside a window
# row's similarities, large enough that blocks of the scene's mask are not decoded over and over.
_WRITE_ROWS = 128
# The scene's mask is read in pieces: reading it takes several times the memory of the labels.
_WRITE_COLUMNS = 4096


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
        seconds: Wall time of the stages.
    """

    windows: int
    skipped: int
    pixels: np.ndarray
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

    def write(self, writer: MaskWriter, progress: Progress | None = None) -> Counts:
        """Segment the scene into an open mask writer.

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
        )
        encode_seconds, seen = 0.0, 0
        with self._scene.reopen() as own:
            sink = _Sink(own, writer, self._legend.nodata)

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
            sink.flush()
        encoded = time.perf_counter()
        writer.finish()
        finished = time.perf_counter()
        seconds = {
            "stretch": fitted - began,
            "windows": encoded - fitted,
            "of which encoder": encode_seconds,
            "write": finished - encoded,
            "total": finished - began,
        }
        return Counts(len(grid), len(grid) - seen, sink.pixels, seconds)

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
    """Gather label strips into writes of aligned height, with nodata put in."""

    def __init__(self, scene: Scene, writer: MaskWriter, nodata: int) -> None:
        self._scene = scene
        self._writer = writer
        self._nodata = nodata
        self._waiting: list[np.ndarray] = []
        self._start = 0
        self._height = 0
        self.pixels = np.zeros(nodata + 1, np.int64)

    def add(self, strip: LabelStrip) -> None:
        """Take the next strip; write what has become whole."""
        labels = strip.labels
        while self._height + len(labels) >= _WRITE_ROWS:
            room = _WRITE_ROWS - self._height
            self._waiting.append(labels[:room])
            labels = labels[room:]
            self.flush()
        if len(labels):
            self._waiting.append(labels)
            self._height += len(labels)

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        labels = np.concatenate(self._waiting)
        for col in range(0, labels.shape[1], _WRITE_COLUMNS):
            part = labels[:, col : col + _WRITE_COLUMNS]
            part[~self._scene.read_valid(Window(self._start, col, *part.shape))] = self._nodata
        # Row by row: bincount works on a copy of eight bytes a pixel.
        for row in labels:
            self.pixels += np.bincount(row, minlength=len(self.pixels))
        self._writer.write(self._start, labels)
        self._start += len(labels)
        self._waiting, self._height = [], 0


def _batch(chips: Iterable[Chip], done: int) -> _Batch:
    chips = list(chips)
    images = np.stack([chip.image for chip in chips]) if chips else np.empty(0, np.float32)
    return _Batch([chip.tile for chip in chips], images, done)
