"""Scene and words in, georeferenced mask out: the one place that wires the stages.

reader thread:  scene -> tiles -> chips -> batches
caller:         batches -> similarities -> stitcher -> finished patch rows
writer thread:  patch rows -> label strips -> mask
"""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rsclip.config import DEFAULT_LOGIT_SCALE, SegmentConfig
from rsclip.labelling.bands import Band, cut_bands
from rsclip.labelling.bilateral import Guide
from rsclip.labelling.guidance import Guidance
from rsclip.labelling.labeller import Labeller
from rsclip.labelling.stitcher import Stitcher
from rsclip.labelling.windows import plan_grid
from rsclip.outputs.rasters.cog import CogWriter
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.rasters.scores import SCORES
from rsclip.run.batches import at_a_time, in_batches, read_together
from rsclip.run.checkpoint import Checkpoint, State
from rsclip.run.encoder import Encoder
from rsclip.run.evidence_bands import BandEvidence
from rsclip.run.memory_limit import room_for_block
from rsclip.run.strip_writer import MASK, Nowhere, StripWriter
from rsclip.run.threads import Worker, prefetch
from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import Radiometry, fit
from rsclip.types import BoolArray, Chip, FloatArray, Rows, Tile, Window
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend
from rsclip.words.prompts import Query

__all__ = ["Progress", "SceneRun"]

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""
Parts = Callable[[Radiometry], Iterable[Checkpoint] | None]
"""Has others work on the bands of a scene, and gives what is finished of each, in their order; None
where nobody else does."""

_QUEUE_DEPTH = 2
# A label is interpolated between patch centres: from one patch beyond its own.
_HALO_CELLS = 2


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
        folded: Values of classes that covered too little of the scene and were written as 0.
    """

    windows: int
    skipped: int
    pixels: np.ndarray
    m2: np.ndarray | None
    confidence: np.ndarray | None
    seconds: dict[str, float]
    folded: tuple[int, ...] = ()


class _MaskWork(NamedTuple):
    """What one mask is made by."""

    labeller: Labeller
    strips: StripWriter


class SceneRun:
    """One scene on its way through an encoder into a mask.

    Args:
        scene: An open scene.
        encoder: Gives similarities.
        legend: Classes.
        queries: The encoder's queries, in its order.
        config: Settings.
        band: The rows to label. Default: all.

    Raises:
        OptionError: The window or stride does not fit the model's patch.
    """

    def __init__(
        self,
        scene: Scene,
        encoder: Encoder,
        legend: Legend,
        queries: Sequence[Query],
        config: SegmentConfig,
        band: Band | None = None,
    ) -> None:
        self._scene = scene
        self._encoder = encoder
        self._legend = legend
        self._queries = queries
        self._config = config
        self.grid = plan_grid(scene.working_shape, encoder, config)
        self._band = band or Band.whole(self.grid, scene.shape[0])
        self.evidence = BandEvidence.of(scene, legend, config)
        self.radiometry: Radiometry | None = None

    @property
    def unreadable(self) -> Set[Window]:
        """Windows of the scene that could not be read and count as without data."""
        return self._scene.unreadable

    def write(
        self,
        writer: MaskWriter,
        progress: Progress | None = None,
        scores: Mapping[str, CogWriter] | None = None,
        checkpoint: Checkpoint | None = None,
        parts: Parts | None = None,
    ) -> Counts:
        """Segment the scene into an open mask writer.

        Args:
            writer: Takes the labels.
            progress: Called with (windows done, windows in all).
            scores: Writers of what is asked for besides: "confidence", "margin", "probabilities".
                Labels are the same with and without them.
            checkpoint: Keeps finished rows for a later run, and says where this one goes on.
            parts: Others that may do the work in bands.

        Raises:
            RunError: A read, the encoder or a write failed.
        """
        (counts,) = self._run([{MASK: writer, **(scores or {})}], progress, checkpoint, parts)
        return counts

    def write_band(
        self,
        radiometry: Radiometry,
        scores: Iterable[str],
        checkpoint: Checkpoint,
        progress: Progress | None = None,
    ) -> None:
        """Segment the band into a checkpoint's log.

        Args:
            radiometry: The scene's stretch.
            scores: Names of the scores that are logged beside the labels.
            checkpoint: Of the band alone; it may have begun before.
            progress: Called with (windows done, windows in all).

        Raises:
            RunError: A read, the encoder or a write failed.
        """
        self.radiometry = radiometry
        writers = dict.fromkeys((MASK, *scores), Nowhere())
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(self._scene.reopen())
            strips = StripWriter(own, writers, self._legend.nodata, checkpoint)
            work = [_MaskWork(self._labeller(writers, own, stack), strips)]
            self._windows(work, progress, checkpoint, last=True)

    def numbers_of(self, band: Band) -> tuple[int, int]:
        """Return the number of a band's first window, and of the first one after it."""
        first, stop = (row * len(self.grid.col_starts) for row in band.windows)
        return first, stop

    def cut(self, workers: int) -> list[Band]:
        """Cut the scene into bands for so many workers."""
        with contextlib.ExitStack() as stack:
            labeller = self._labeller((), self._scene, stack)
        return cut_bands(self.grid, self._scene.shape[0], labeller.cells_of, workers)

    def write_each(
        self, writers: Sequence[MaskWriter], progress: Progress | None = None
    ) -> list[Counts]:
        """Segment the scene into several masks, from an encoder that reads images in several ways.

        Args:
            writers: One mask for each way; the encoder's channels are the queries' of the first,
                then those of the second, and so on.
            progress: Called with (windows done, windows in all).

        Raises:
            RunError: A read, the encoder or a write failed.
        """
        return self._run([{MASK: writer} for writer in writers], progress, None)

    def _run(
        self,
        outputs: Sequence[Mapping[str, CogWriter]],
        progress: Progress | None,
        checkpoint: Checkpoint | None,
        parts: Parts | None = None,
    ) -> list[Counts]:
        began = time.perf_counter()
        self.radiometry = fit(self._scene, self._config.stretch)
        fitted = time.perf_counter()
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(self._scene.reopen())
            work = [
                _MaskWork(
                    self._labeller(set(writers), own, stack),
                    StripWriter(own, writers, self._legend.nodata, checkpoint),
                )
                for writers in outputs
            ]
            finished = None if parts is None else parts(self.radiometry)
            if finished is None:
                encode_seconds, seen = self._windows(work, progress, checkpoint)
            else:
                encode_seconds, seen = 0.0, 0
                for part in finished:
                    assert part.state is not None
                    work[0].strips.restore(part.state, part)
                    encode_seconds += float(part.state["encode_seconds"])
                    seen += int(part.state["seen"])
        encoded = time.perf_counter()
        folded = [
            self._end(each.strips, writers) for each, writers in zip(work, outputs, strict=True)
        ]
        for writers in outputs:
            for each in writers.values():
                each.finish()
        ended = time.perf_counter()
        seconds = {
            "stretch": fitted - began,
            "windows": encoded - fitted,
            "of which encoder": encode_seconds,
            "write": ended - encoded,
            "total": ended - began,
        }
        total = len(self.grid)
        return [
            Counts(
                total, total - seen, strips.pixels, strips.m2, strips.confidence, seconds, values
            )
            for (_, strips), values in zip(work, folded, strict=True)
        ]

    def _end(self, strips: StripWriter, writers: Mapping[str, CogWriter]) -> tuple[int, ...]:
        """Change what depends on the mask as a whole; return the values that became 0."""
        mask = writers[MASK]
        assert isinstance(mask, MaskWriter)
        folded = self._small_classes(strips.pixels)
        if folded:
            strips.fold(folded)
            mask.relabel(dict.fromkeys(folded, 0))
        if self._config.sieve is not None:
            mask.sieve(self._config.sieve)
            strips.recount()
        return tuple(folded)

    def _small_classes(self, pixels: np.ndarray) -> list[int]:
        """Return the values of classes that cover some of the scene, but less than they must."""
        valid = int(pixels.sum() - pixels[self._legend.nodata])
        least = (self._config.area_threshold or 0) * valid
        return [item.value for item in self._legend.foreground if 0 < pixels[item.value] < least]

    def _windows(
        self,
        work: Sequence[_MaskWork],
        progress: Progress | None,
        checkpoint: Checkpoint | None,
        *,
        last: bool = False,
    ) -> tuple[float, int]:
        """Run the band's windows into the masks.

        Args:
            work: A mask for each way in which images are read.
            progress: Called with (windows done, windows in all).
            checkpoint: Of one mask.
            last: Commit what is finished at the end too.

        Returns:
            The encoder's seconds, and how many of the band's own windows it saw.
        """
        grid, band = self.grid, self._band
        columns = len(grid.col_starts)
        row, stop = band.windows
        begin, end = self.numbers_of(band)
        own = range(band.own[0] * columns, band.own[1] * columns)
        stitcher = Stitcher(grid, self._encoder.queries, self._config.blend, row)
        encode_seconds, seen, first = 0.0, 0, begin
        if checkpoint is not None and checkpoint.state is not None:
            state = checkpoint.state
            ((labeller, strips),) = work
            for part in (stitcher, labeller):
                part.restore(state)
            strips.restore(state, checkpoint)
            row, seen, first = (int(state[name]) for name in ("row", "seen", "tile"))

        def finish(item: Rows | State) -> None:
            if isinstance(item, Rows):
                with gdal_env():
                    for (labeller, strips), rows in zip(work, _split(item, len(work)), strict=True):
                        for strip in labeller.add(rows):
                            strips.add(strip)
            else:
                assert checkpoint is not None
                ((labeller, strips),) = work
                checkpoint.commit({**item, **labeller.state(), **strips.state()})

        def state_at(tile: int) -> State:
            counts = {"row": row, "seen": seen, "tile": tile, "encode_seconds": encode_seconds}
            plain = {name: np.asarray(count) for name, count in counts.items()}
            return {**stitcher.state(), **plain}

        with Worker(finish, _QUEUE_DEPTH) as worker:
            for batch in prefetch(
                in_batches(self.chips(first), first, self._encoder.batch_size, columns),
                _QUEUE_DEPTH,
            ):
                start = time.perf_counter()
                similarities = self._encoder.similarities(batch.images) if batch.tiles else ()
                encode_seconds += time.perf_counter() - start
                for tile, one in zip(batch.tiles, similarities, strict=True):
                    while grid.row_starts[row] < tile.window.row:
                        worker.put(stitcher.take(grid.final_cell_rows(row)))
                        row += 1
                    stitcher.add(tile, one)
                seen += sum(tile.index in own for tile in batch.tiles)
                if progress is not None:
                    progress(batch.done - begin, end - begin)
                if checkpoint is not None and batch.clean and checkpoint.claim():
                    worker.put(state_at(batch.done))
            while row < stop:
                worker.put(stitcher.take(grid.final_cell_rows(row)))
                row += 1
            if last:
                worker.put(state_at(end))
        return encode_seconds, seen

    def _labeller(
        self, outputs: Container[str], own: Scene, stack: contextlib.ExitStack
    ) -> Labeller:
        """Make the labeller; `own` is for the thread that it works in."""
        rules = self.evidence
        evidence = rules.reader(own, self._config, stack) if rules.rules else None
        config, patch = self._config, self.grid.patch
        rows_scale, cols_scale = self._scene.scale
        return Labeller(
            self._scene.shape,
            self.grid.cells,
            (patch * rows_scale, patch * cols_scale),
            self._legend,
            Layout.of(self._legend, self._queries, config.synonyms),
            logit_scale=config.logit_scale or DEFAULT_LOGIT_SCALE,
            score=config.score,
            threshold=config.threshold,
            # Where the score is worked out anyway, its mean is known for nothing.
            with_score=any(kind in outputs for kind in SCORES) or self._has_threshold(),
            with_margin="margin" in outputs,
            with_probabilities="probabilities" in outputs,
            guidance=self._guidance,
            guide=self._guide(own),
            evidence=evidence,
            rows=self._band.rows,
        )

    @property
    def _guidance(self) -> Guidance:
        return Guidance.of(self._config, room_for_block(self._config.max_memory))

    def _guide(self, own: Scene) -> Guide:
        patch = self.grid.patch

        def shown(pixels: np.ndarray, valid: BoolArray) -> tuple[FloatArray, BoolArray]:
            assert self.radiometry is not None
            return self.radiometry.apply(pixels, valid), valid

        return Guide(
            lambda window: shown(*own.read_own(window)),
            lambda window: shown(*own.read(Window(*(patch * each for each in window)))),
        )

    def _has_threshold(self) -> bool:
        own = (item.threshold for item in self._legend.classes)
        return any(value is not None for value in (self._config.threshold, *own))

    @property
    def _halo(self) -> int:
        """How many working pixels beyond its own a label can depend on."""
        guidance = self._guidance
        patches = max(_HALO_CELLS, guidance.reach + 1)
        return patches * self.grid.patch + math.ceil(guidance.halo / min(self._scene.scale))

    def wanted_windows(self, first: int = 0, stop: int | None = None) -> int:
        """Return how many windows a label may hang on: all, but for an area of interest.

        Args:
            first: Number of the window to begin with.
            stop: Number of the first one after them. Default: to the end.
        """
        if self._scene.aoi is None:
            return (len(self.grid) if stop is None else stop) - first
        halo = self._halo
        tiles = itertools.islice(self.grid.tiles(), first, stop)
        return sum(self._scene.wanted(_around(tile.window, halo)) for tile in tiles)

    def chips(self, first: int = 0) -> Iterator[Chip | None]:
        """Yield each tile's chip in row-major order; None for one that no label needs.

        Args:
            first: Number of the tile to begin with; the last one is the band's.
        """
        assert self.radiometry is not None
        halo = self._halo
        columns = len(self.grid.col_starts)
        row, col = divmod(first, columns)
        stop = self._band.windows[1] * columns - row * columns
        with self._scene.reopen() as scene:
            tiles = itertools.islice(self.grid.tiles(row), col, stop)

            def key(tile: Tile) -> tuple[int, bool]:
                return tile.window.row, scene.wanted(_around(tile.window, halo))

            for (_, wanted), beside in itertools.groupby(tiles, key):
                while group := list(itertools.islice(beside, at_a_time(self.grid.window))):
                    if wanted:
                        yield from read_together(scene, self.radiometry, group)
                    else:
                        yield from (None for _ in group)


def _split(rows: Rows, count: int) -> Iterator[Rows]:
    """Yield the rows of each of several equal groups of channels."""
    for part in np.split(rows.similarities, count):
        yield Rows(rows.start, part, rows.covered)


def _around(window: Window, halo: int) -> Window:
    return Window(
        window.row - halo, window.col - halo, window.height + 2 * halo, window.width + 2 * halo
    )
