"""One scene: the library's front door, and the workers that share a large scene out in bands."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rsclip import errors
from rsclip.adapters.fitted_for import adapter_layer, read_header
from rsclip.batch.executors import check_workers, choose_executor
from rsclip.batch.scenes import absolute_source
from rsclip.batch.tasks import (
    Executor,
    Listener,
    Problem,
    Task,
    changed_settings,
    plain_spec,
    portable,
)
from rsclip.batch.worker import Models, Serial
from rsclip.config import SegmentConfig, build_config
from rsclip.errors import InputError, OptionError, RsclipError, RunError, warn
from rsclip.keywords import SegmentKeywords
from rsclip.run.arrays import Folder, SceneLike, as_file
from rsclip.run.bands import BandOrder
from rsclip.run.encoder import Model, ModelLoader
from rsclip.run.pipeline import Progress
from rsclip.run.segment import Failure, SegmentResult, segment_scenes
from rsclip.words.legend import LegendSpec

if TYPE_CHECKING:
    import torch
    from affine import Affine

    from rsclip.model import Backbone

__all__ = ["SceneWorkers", "segment"]


def segment(
    scene: SceneLike,
    classes: "LegendSpec | None" = None,
    output_dir: str | Path | None = None,
    *,
    transform: "Affine | Sequence[float] | None" = None,
    crs: Any = None,
    model: "str | Path | Backbone | torch.nn.Module | None" = None,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Progress | None = None,
    jobs: int = 1,
    dask: str | None = None,
    **options: Unpack[SegmentKeywords],
) -> SegmentResult:
    """Segment one scene by class words into a georeferenced mask.

    Args:
        scene: A file, URL or GDAL virtual path; an array (C, H, W) or (H, W), as rasterio reads
            it, masked or not; an open rasterio dataset; or a `xarray.DataArray` with rioxarray's
            metadata (`pip install 'rsclip[xarray]'`).
        classes: Words ("building|house, road"), a class file, "set:NAME", or a `Legend`; None:
            those of the `adapter`.
        output_dir: Where `<stem>_mask.tif` and the other outputs go. Default: the working folder;
            for a scene that Python holds, a temporary one that lasts as long as the result:
            `result.mask()` has the labels.
        transform: Of an array: pixel to CRS coordinates, an `Affine` or its six numbers.
        crs: Of an array: its CRS, such as "EPSG:32633".
        model: A name, a folder, a `Backbone` (`rsclip.load_model`) or an open_clip model.
        config: Settings; `options` beat them.
        backbone: A ready model, as with `model`.
        progress: Called with (windows done, windows in all).
        jobs: Worker processes that share the scene out in bands; with 1, this process does it
            all. A scene too small for them is done here.
        dask: Address of a dask scheduler, in place of `jobs`; docs/batch.md.
        **options: Fields of `SegmentConfig`, such as overlap=0.25.

    Raises:
        InputError: Something is wrong before any pixel is read.
        RunError: Something failed after; nothing is left under a final name.
    """
    named = {} if model is None else {"model": model}
    if model is not None and not isinstance(model, str | Path):
        from rsclip.model import as_backbone

        named, backbone = {}, as_backbone(model)
    settings = _merge(config, {**options, **named})
    held = None
    if not isinstance(scene, str | Path):
        held = Folder()
        scene = as_file(scene, held.path, transform=transform, crs=crs)
        output_dir = output_dir or held.path / "out"
    elif transform is not None or crs is not None:
        raise OptionError(
            "only an array takes transform and crs: a file has its own", where="transform, crs"
        )
    if backbone is not None and (jobs != 1 or dask is not None):
        raise OptionError(
            "workers load the model themselves, and this one is an object of Python",
            where="--jobs" if dask is None else "--dask",
            remedy="Give its name or its folder as the model.",
        )
    workers = None
    if backbone is None:
        workers = SceneWorkers(classes, settings, jobs=jobs, dask=dask)
    (result,) = segment_scenes(
        [scene], classes, output_dir or ".", config=settings, backbone=backbone, progress=progress,
        workers=workers,
    )  # fmt: skip
    if isinstance(result, Failure):
        raise result.error
    return replace(result, _kept=held)


def _merge(config: SegmentConfig | None, options: Mapping[str, Any]) -> SegmentConfig:
    if config is None:
        return build_config(adapter_layer(options), options)
    if not options:
        return config
    return build_config(config.to_dict(), adapter_layer(options), options)


class SceneWorkers:
    """Worker processes, or a cluster, that do the bands of a scene; a `BandWorkers`.

    Args:
        classes: As `segment` takes them.
        config: Settings.
        jobs: Worker processes; with 1, this process does it all.
        dask: Address of a dask scheduler, in place of `jobs`.
        loader: Builds the model in place of `rsclip.run.encoder.load_model` (tests).

    Raises:
        OptionError: `jobs` does not fit, or no scheduler answers at `dask`.
    """

    def __init__(
        self,
        classes: LegendSpec | None,
        config: SegmentConfig,
        *,
        jobs: int = 1,
        dask: str | None = None,
        loader: ModelLoader | None = None,
    ) -> None:
        check_workers(jobs, dask)
        if classes is None and config.adapter is not None:
            classes = read_header(config.adapter).legend
        self._classes, self._config = classes, config
        self._jobs, self._dask, self._loader = jobs, dask, loader
        self.remote = dask is not None
        if dask is not None:
            from rsclip.batch.dask_client import check_scheduler

            check_scheduler(dask)

    @property
    def workers(self) -> int:
        """How many bands are worked on at a time."""
        if self._dask is None:
            return self._jobs
        from rsclip.batch.dask_cluster import Cluster

        with contextlib.closing(Cluster(self._dask)) as cluster:
            return max(cluster.workers, 1)

    def __call__(
        self,
        source: str,
        orders: Sequence[BandOrder],
        model: Model,
        progress: Callable[[int, int], None],
    ) -> Generator[int, None, None]:
        """Yield each band's number as it is finished.

        Raises:
            RsclipError: A band failed, or was lost too often.
        """
        assert self._classes is not None
        classes = plain_spec(self._classes)
        settings = portable(changed_settings(self._config))
        place = absolute_source(source)
        tasks = [Task(place, "", classes, settings, band=order) for order in orders]
        listener = _BandListener(progress)
        executor: Executor
        if self._dask is None and min(self._jobs, len(tasks)) <= 1:
            executor = Serial(Models(lambda _legend, _config: model))
        else:
            executor = choose_executor(
                tasks, self._jobs, self._dask, Models(self._loader), listener
            )
        with contextlib.closing(executor(tasks, Path(), listener)) as running:
            for outcome in running:
                if outcome.problem is not None:
                    raise _as_error(outcome.problem)
                assert outcome.task.band is not None
                yield outcome.task.band.number


class _BandListener(Listener):
    """Passes on how far each band is, and what the executor says."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._band_of: dict[str, int] = {}

    def start(self, worker: str, task: Task) -> None:
        assert task.band is not None
        self._band_of[worker] = task.band.number

    def advance(self, worker: str, done: int, total: int) -> None:
        if worker in self._band_of:
            self._progress(self._band_of[worker], done)

    def note(self, text: str) -> None:
        warn(text)


def _as_error(problem: Problem) -> RsclipError:
    """Return a worker's error as the run's own, which has begun by then."""
    kind = getattr(errors, problem.kind, RunError)
    if issubclass(kind, InputError):
        kind = RunError
    error: RsclipError = kind(problem.message.removesuffix("."))
    return error
