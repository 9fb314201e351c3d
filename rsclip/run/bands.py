"""One scene in bands that several workers do, each into a log in the run's hidden folder.

The run itself joins them: it writes the logged rows as if they were its own. Bands that are
finished are not done again by --resume, nor are the finished rows of one that was begun.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from rsclip.config import SegmentConfig
from rsclip.errors import OutputError, RunError, warn
from rsclip.files import new_file
from rsclip.labelling.bands import Band
from rsclip.outputs.files.disk import write_error
from rsclip.run.checkpoint import Checkpoint, has_finished_rows, windows_done
from rsclip.run.encoder import Model, ModelLoader, load_for_job
from rsclip.run.engine_check import choose_engine
from rsclip.run.job import Job
from rsclip.run.pipeline import Progress, SceneRun
from rsclip.run.scenes_and_classes import ClassesRead
from rsclip.run.working_pixel_size import apply_defaults
from rsclip.scene.scene import gdal_env
from rsclip.scene.stretch import Radiometry

__all__ = ["BandOrder", "BandWorkers", "BandedScene", "bands_begun", "next_window", "run_band"]

_FOLDER = "bands"
_LAYOUT = "layout.json"
# How long a worker that was given up may take to let go of its band.
_LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class BandOrder:
    """What a worker must know of a band, besides scene, classes and settings.

    Attributes:
        number: Of the band, from 0.
        count: Of all bands.
        band: Its rows.
        first: Number of its first window.
        windows: How many it runs.
        folder: Where it logs its rows.
        radiometry: The scene's stretch.
        scores: Names of the scores that are logged beside the labels.
        fingerprint: Of the band, as `Checkpoint` takes it.
    """

    number: int
    count: int
    band: Band
    first: int
    windows: int
    folder: str
    radiometry: Radiometry
    scores: tuple[str, ...]
    fingerprint: Mapping[str, Any]

    @property
    def done(self) -> int:
        """How many windows need not be run again."""
        return max(windows_done(Path(self.folder), self.fingerprint) - self.first, 0)


class BandWorkers(Protocol):
    """Who works on the bands of a scene.

    Attributes:
        remote: They are elsewhere: even one band is theirs.
    """

    remote: bool

    @property
    def workers(self) -> int:
        """How many bands are worked on at a time."""

    def __call__(
        self,
        source: str,
        orders: Sequence[BandOrder],
        model: Model,
        progress: Callable[[int, int], None],
    ) -> Generator[int, None, None]:
        """Yield each band's number as it is finished.

        Args:
            source: The scene.
            orders: Its bands that are left to do.
            model: Of this process.
            progress: Called with a band's number and how many of its windows are done.

        Raises:
            RsclipError: A band failed, or was lost too often.
        """


class BandedScene:
    """The bands of a scene, cut, given out and collected.

    Args:
        run: The scene.
        source: Its name.
        model: Its model.
        work: Folder for partial work.
        fingerprint: As `Checkpoint` takes it, of the whole scene.
        scores: Names of the scores that are wanted beside the labels.
        workers: Who does it.
        resume: Go on from what an earlier run has left.
        progress: Called with (windows done, windows in all).

    Attributes:
        bands: Of the scene, as far as they are known.
    """

    def __init__(
        self,
        run: SceneRun,
        source: str,
        model: Model,
        work: Path,
        fingerprint: Mapping[str, Any],
        scores: Sequence[str],
        workers: BandWorkers,
        *,
        resume: bool,
        progress: Progress | None = None,
    ) -> None:
        self._run, self._source, self._model, self._scores = run, source, model, tuple(scores)
        self._workers, self._progress = workers, progress
        self._folder = work / _FOLDER
        self._fingerprint = dict(fingerprint)
        self._resume = resume
        self.bands: list[Band] = []

    @property
    def committed(self) -> bool:
        """There is something that a later run can go on from."""
        return has_finished_rows(self._folder)

    def __call__(self, radiometry: Radiometry) -> Iterator[Checkpoint] | None:
        """Have all bands done; yield what each has logged, in their order.

        Returns:
            None where the run is to do the scene by itself: it is one band.

        Raises:
            RunError: A band failed.
        """
        self.bands = self._layout()
        if len(self.bands) == 1 and not self._workers.remote:
            return None
        return self._parts(radiometry)

    def _parts(self, radiometry: Radiometry) -> Iterator[Checkpoint]:
        orders = [self._order(number, radiometry) for number in range(len(self.bands))]
        done = {order.number: order.done for order in orders}
        total = sum(order.windows for order in orders)
        left = [order for order in orders if done[order.number] < order.windows]
        finished = set(done) - {order.number for order in left}

        def tell(number: int, windows: int) -> None:
            done[number] = max(done[number], windows)
            if self._progress is not None:
                self._progress(sum(done.values()), total)

        following = iter(orders)
        order = next(following, None)
        with contextlib.closing(self._workers(self._source, left, self._model, tell)) as running:
            while order is not None:
                if order.number in finished:
                    yield self._finished(order)
                    order = next(following, None)
                    continue
                number = next(running, None)
                if number is None:
                    raise RunError(
                        f"{len(orders) - len(finished)} of its {len(orders)} bands are left to do",
                        where=self._source,
                        remedy="Run the same with --resume.",
                    )
                finished.add(number)
                tell(number, orders[number].windows)

    def _layout(self) -> list[Band]:
        """Return the bands: those of the run that is resumed, or new ones."""
        path = self._folder / _LAYOUT
        if self._resume:
            if kept := bands_begun(self._folder.parent, self._fingerprint):
                return kept
            if self.committed:
                warn(
                    f"{self._source}: begun with another input, other settings or batches: starts "
                    "over"
                )
        shutil.rmtree(self._folder, ignore_errors=True)
        bands = self._run.cut(self._workers.workers)
        if len(bands) == 1 and not self._workers.remote:
            return bands
        text = json.dumps(
            {"of": _key(self._fingerprint), "bands": [astuple(band) for band in bands]}
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with new_file(path) as draft:
                draft.write_text(text, encoding="utf-8")
        except OSError as error:
            raise write_error(error, path) from error
        return bands

    def _order(self, number: int, radiometry: Radiometry) -> BandOrder:
        band = self.bands[number]
        first, stop = self._run.numbers_of(band)
        folder = _folder_of(self._folder, number)
        return BandOrder(
            number,
            len(self.bands),
            band,
            first,
            stop - first,
            str(folder.absolute()),
            radiometry,
            self._scores,
            _fingerprint_of(band, self._fingerprint),
        )

    def _finished(self, order: BandOrder) -> Checkpoint:
        part = Checkpoint(Path(order.folder), order.fingerprint, resume=True)
        if part.state is None or order.done < order.windows:
            raise RunError(
                f"rows {order.band.rows[0]} to {order.band.rows[1]} were finished, but cannot be "
                "read back",
                where=order.folder,
                remedy="Workers must see the output folder under the same path.",
            )
        return part


def bands_begun(work: Path, fingerprint: Mapping[str, Any]) -> list[Band]:
    """Return the bands that a run goes on with; none where there is nothing to go on with.

    Args:
        work: As `BandedScene` takes it, and the other.
        fingerprint: Of the whole scene.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads((work / _FOLDER / _LAYOUT).read_text(encoding="utf-8"))
        if kept["of"] == _key(fingerprint):
            return [Band(*(tuple(span) for span in spans)) for spans in kept["bands"]]
    return []


def next_window(
    work: Path, fingerprint: Mapping[str, Any], bands: Sequence[Band], number: int
) -> int:
    """Return the number of the window with which a begun band goes on; 0 where it is not begun."""
    folder = _folder_of(work / _FOLDER, number)
    return windows_done(folder, _fingerprint_of(bands[number], fingerprint))


def _folder_of(folder: Path, number: int) -> Path:
    return folder / f"{number:04}"


def _fingerprint_of(band: Band, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    return {**fingerprint, "rows": list(band.rows)}


def _key(fingerprint: Mapping[str, Any]) -> str:
    return json.dumps(fingerprint, default=str, sort_keys=True)


def run_band(
    source: str,
    classes: ClassesRead,
    config: SegmentConfig,
    order: BandOrder,
    load: ModelLoader,
    progress: Progress | None = None,
) -> None:
    """Do one band, in a worker.

    Args:
        source: The scene.
        classes: Classes.
        config: Settings, as the user gave them.
        order: The band.
        load: Builds the encoder.
        progress: Called with (windows done, windows in all).

    Raises:
        InputError: The worker cannot open the scene or load the model.
        RunError: A read, the encoder or a write failed.
    """
    folder = Path(order.folder)
    job = Job.prepare([source], classes, folder.parent, config)
    (found,) = job.sources
    with gdal_env(), contextlib.ExitStack() as stack:
        scene = stack.enter_context(found.open())
        model = load_for_job(job, None, load)
        settings = apply_defaults(scene, job.settings, model.defaults)
        run = SceneRun(scene, model.encoder, job.legend, model.queries, settings, order.band)
        # Of the same windows as in the run itself, so that every band is done alike.
        choose_engine(scene, run.grid, model, settings)
        stack.enter_context(_lock(folder))
        checkpoint = Checkpoint(folder, order.fingerprint, resume=True)
        stack.callback(checkpoint.close)
        run.write_band(order.radiometry, order.scores, checkpoint, progress)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep a band from a worker that was given up but still works on it."""
    try:
        # The folder that holds all bands must be the one of the run.
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / "lock", timeout=_LOCK_SECONDS)
        lock.acquire()
    except Timeout:
        raise OutputError(
            "another worker still writes this band",
            where=folder,
            remedy="Wait for it, and run the same with --resume.",
        ) from None
    except OSError as error:
        raise write_error(error, folder) from error
    try:
        yield
    finally:
        lock.release()
