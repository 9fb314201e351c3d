"""What a run would do, before it does it: windows, minutes, memory, disk, what is done already."""

import itertools
import statistics
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.errors import AreaError, ExistsError, RsclipError
from rsclip.labelling.guidance import Guidance
from rsclip.outputs.companions import kept_scores
from rsclip.outputs.files.staging import Staging
from rsclip.run.bands import BandWorkers, bands_begun, next_window
from rsclip.run.checkpoint import windows_done
from rsclip.run.encoder import Model, ModelLoader, load_for_job, outline_of
from rsclip.run.job import Job
from rsclip.run.pipeline import SceneRun
from rsclip.run.resume import decide
from rsclip.run.same_run import fingerprint, input_identity, settings_identity
from rsclip.run.scenes_and_classes import ClassesRead
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import fit
from rsclip.words.legend import LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone, ModelOutline

__all__ = ["ScenePlan", "plan_scenes"]

_TIMED_BATCHES = 3
# Cutting, stitching, labelling, writing and polygons, per pixel: tests/benchmarks/estimates.py.
_SECONDS_A_PIXEL = 5e-7
_UPSAMPLED_SECONDS = 4e-7
_REFINED_SECONDS = 6e-6
# A command's start and end, the imports before this one.
_START_SECONDS = 2.0
# Bytes a pixel while the COGs are made, drafts and overviews included; labels compress well.
_MASK_BYTES = 0.5
_SCORE_BYTES = 2.0


Status = Literal["new", "finished", "exists", "blocked", "outside", "unusable"]


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """What would become of a scene.

    Attributes:
        scene: As it was named.
        status: "new"; "finished": skipped with --resume; "exists": outputs of something else are
            in the way; "blocked": the folder cannot be written, or another run is at it;
            "outside" the area of interest; "unusable".
        windows: To do, of the grid, those without a valid pixel included.
        kept: Windows of a begun run that --resume need not do again.
        seconds: Of work, roughly; those of the first scene to do count the loading of the model.
        window_seconds: Of the encoder, for a window.
        memory_mb: Peak, roughly.
        disk_mb: Needed while the outputs are made, roughly.
        reason: Why it cannot be done, or what is there of it; or None.
        gsd: Pixel size in metres that it is worked at, or None: the scene's own.
    """

    scene: str
    status: Status
    windows: int = 0
    kept: int = 0
    seconds: float = 0.0
    window_seconds: float = 0.0
    memory_mb: int = 0
    disk_mb: float = 0.0
    reason: str | None = None
    gsd: float | None = None


def plan_scenes(
    scenes: Sequence[str | Path],
    classes: LegendSpec | ClassesRead | None,
    output_dir: str | Path = ".",
    *,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    model_loader: ModelLoader | None = None,
    protect: Sequence[str | Path] = (),
    window_seconds: float | None = None,
    workers: BandWorkers | None = None,
) -> list[ScenePlan]:
    """Say what `segment_scenes` would do; nothing is written.

    A few windows of the first usable scene are encoded for the time.

    Args:
        scenes: As `segment_scenes` takes them, and the other arguments.
        classes: Classes.
        output_dir: The output folder.
        config: Settings.
        backbone: A ready model.
        model_loader: Builds the encoder.
        protect: Further files that no output may replace.
        window_seconds: What a window takes, where it was timed before.
        workers: Do each scene in bands, where it is large enough.

    Raises:
        InputError: Classes, options or the model are wrong.
    """
    job = Job.prepare(scenes, classes, output_dir, config, protect)
    began = time.perf_counter()
    model = load_for_job(job, backbone, model_loader) if job.usable else None
    outline = outline_of(job.settings, backbone) if model_loader is None else None
    second = window_seconds
    # Timed before, a window tells that the model's loading is counted already.
    start = time.perf_counter() - began + _START_SECONDS if window_seconds is None else 0.0
    plans = []
    for source in job.sources:
        try:
            with gdal_env(), source.open() as scene:
                assert model is not None
                settings = apply_defaults(scene, job.settings, model.defaults)
                warn_of_pixel_size(scene, job.settings, model.defaults.gsd_range)
                run = SceneRun(scene, model.encoder, job.legend, model.queries, settings)
                if second is None:
                    second = _seconds_a_window(run, scene, model, settings)
                own = replace(job, settings=settings)
                plan = _plan(own, scene, source.stem, run, model, outline, second, workers)
                if plan.status == "new":
                    plan = replace(plan, seconds=round(plan.seconds + start, 1))
                    start = 0.0
                plans.append(plan)
        except RsclipError as error:
            status: Status = "outside" if isinstance(error, AreaError) else "unusable"
            plans.append(ScenePlan(str(source.name), status, reason=str(error)))
    return plans


def _plan(
    job: Job,
    scene: Scene,
    stem: str,
    run: SceneRun,
    model: Model,
    outline: "ModelOutline | None",
    second: float,
    workers: BandWorkers | None,
) -> ScenePlan:
    # A batch that finds all finished loads no torch.
    from rsclip.run.memory import estimate_memory_mb

    names = job.names(stem, scene)
    pixels = scene.shape[0] * scene.shape[1]
    identity = input_identity(scene, checksum=job.settings.checksum)
    identity |= settings_identity(job.legend, job.settings, scene.area_digest, model.facts)
    status, reason = _standing(job, names, identity, model)
    spans = [(0, 0, len(run.grid))]
    if status == "new":
        work = Staging.work_of(job.folder, names)
        same = fingerprint(names, identity, job.settings, model)
        spans = _spans(run, work, same, workers, resume=job.settings.resume)
    windows = sum(run.wanted_windows(first, stop) for _, first, stop in spans)
    kept = sum(run.wanted_windows(begin, stop) for begin, _, stop in spans) - windows
    at_once = 1 if workers is None else min(len(spans), workers.workers)
    remote = workers is not None and workers.remote
    # Workers of this machine share its processors; the process that joins their bands has a model.
    processes = 1 if remote or at_once == 1 else at_once + 1
    seconds = windows * second / (at_once if remote else 1)
    if kept:
        reason = f"begun: {kept:,} window{'s are' if kept != 1 else ' is'} done"
    return ScenePlan(
        scene.source,
        status,
        windows=windows,
        kept=kept,
        seconds=round(seconds + pixels * _seconds_a_pixel(job.settings), 1),
        window_seconds=second,
        memory_mb=0
        if outline is None
        else processes
        * estimate_memory_mb(
            run.grid,
            outline,
            model.encoder.queries,
            job.settings,
            model.encoder.batch_size,
            held_bytes=scene.held_bytes,
        ),
        disk_mb=round(pixels * _bytes_a_pixel(names, model) / 2**20, 2),
        reason=reason,
        gsd=job.settings.gsd,
    )


def _seconds_a_pixel(settings: SegmentConfig) -> float:
    guidance = Guidance.of(settings)
    return (
        _SECONDS_A_PIXEL
        + _UPSAMPLED_SECONDS * bool(guidance.reach)
        + _REFINED_SECONDS * bool(guidance.dilations)
    )


def _spans(
    run: SceneRun,
    work: Path,
    same: Mapping[str, Any],
    workers: BandWorkers | None,
    *,
    resume: bool,
) -> list[tuple[int, int, int]]:
    """Return which windows are run: of each band its first, the one to go on with, and the end."""
    begun = windows_done(work, same) if resume else 0
    if workers is None or begun:
        return [(0, begun, len(run.grid))]
    bands = (bands_begun(work, same) if resume else []) or run.cut(workers.workers)
    spans = []
    for number, band in enumerate(bands):
        first, stop = run.numbers_of(band)
        begun = next_window(work, same, bands, number) if resume else 0
        spans.append((first, max(first, begun), stop))
    return spans


def _standing(
    job: Job, names: Mapping[str, str], identity: Mapping[str, Any], model: Model
) -> tuple[Status, str | None]:
    """Say whether outputs are there, and why they are in the way, without touching any."""
    try:
        places = Staging.places(job.folder, names)
        # What --resume would find is told without it too.
        asked = job.settings.replace(resume=True)
        where = job.folder / names["record"]
        decision = decide(job.legend, asked, model.facts, places, identity, where)
        if decision.action == "skip" or (decision.action == "add" and job.settings.resume):
            return "finished", decision.reason
        again = job.settings.resume and decision.action == "replace"
        replace = job.settings.overwrite or again
        Staging.check_without_writing(job.folder, names, overwrite=replace, inputs=job.inputs)
    except ExistsError as error:
        return "exists", str(error)
    except RsclipError as error:
        return "blocked", str(error)
    return "new", decision.reason if again else None


def _seconds_a_window(run: SceneRun, scene: Scene, model: Model, config: SegmentConfig) -> float:
    """Time the encoder on windows of the scene; the first batch warms it up."""
    run.radiometry = fit(scene, config.stretch)
    size = model.encoder.batch_size
    chips = (chip for chip in run.chips() if chip is not None)
    times = []
    while group := list(itertools.islice(chips, size)):
        images = np.stack([chip.image for chip in group])
        began = time.perf_counter()
        model.encoder.similarities(images)
        times.append((time.perf_counter() - began) / len(group))
        if len(times) > _TIMED_BATCHES:
            break
    chips.close()
    return statistics.median(times[1:] or times) if times else 0.0


def _bytes_a_pixel(names: Container[str], model: Model) -> float:
    classes = len({query.class_index for query in model.queries})
    bands = sum(classes if kind == "probabilities" else 1 for kind in kept_scores(names))
    return _MASK_BYTES + bands * _SCORE_BYTES
