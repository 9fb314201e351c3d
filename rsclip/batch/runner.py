"""A batch from inputs to manifest: find the scenes, check them, run them, write the summary."""

import contextlib
import time
import warnings
from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Literal

from rsclip.adapters.fitted_for import read_header
from rsclip.batch.batch_outputs import Extras
from rsclip.batch.executors import check_workers, choose_executor
from rsclip.batch.manifest import TABLE, Manifest, read_manifest, write_table
from rsclip.batch.scenes import Entry, find_scenes
from rsclip.batch.tasks import (
    Executor,
    Listener,
    Outcome,
    Report,
    Task,
    changed_settings,
    plain_spec,
    portable,
)
from rsclip.batch.worker import Models, find_finished_tasks
from rsclip.config import HOW_OPTIONS, SegmentConfig, build_config
from rsclip.errors import (
    AreaError,
    InputError,
    OptionError,
    OutputError,
    RsclipError,
    RsclipWarning,
    WriteError,
)
from rsclip.files import expand
from rsclip.method_files import refuse_code
from rsclip.outputs.companions import output_names
from rsclip.outputs.files.staging import check_reach
from rsclip.run.encoder import ModelLoader, within_memory
from rsclip.run.job import Job
from rsclip.run.plan import ScenePlan, plan_scenes
from rsclip.scene.aoi import check_aoi
from rsclip.scene.source import stem_of
from rsclip.words.legend import LegendSpec, class_file
from rsclip.words.prompts import load_templates

__all__ = ["plan_batch", "plan_tasks", "run_batch"]

_OUTSIDE = AreaError.__name__
# Settings that a list may give for a scene; the checks for all scenes do not depend on them.
_OF_THE_SCENE = ("bidx", "gsd")
_FULL = "the disk is full"
OnError = Literal["continue", "stop"]


def run_batch(
    inputs: Sequence[str | Path],
    classes: LegendSpec | None = None,
    output_dir: str | Path | None = None,
    *,
    config: SegmentConfig | None = None,
    recursive: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    on_error: OnError = "continue",
    retry_failed: str | Path | None = None,
    given: Sequence[Mapping[str, Any]] | None = None,
    mosaic: bool = False,
    merge_polygons: bool = False,
    stac_catalog: bool = False,
    listener: Listener | None = None,
    model_loader: ModelLoader | None = None,
) -> Report:
    """Segment the scenes of folders, patterns and lists; one that fails stops no other.

    A scene that is finished with the same settings and an unchanged input is left as it is, and
    one that was killed goes on where it stopped, unless a `config` without `resume` is given.

    Args:
        inputs: Folders, patterns, lists (.txt, .csv), files, URLs; docs/batch.md.
        classes: As `rsclip.segment` takes them; a list may name them for each scene.
        output_dir: Outputs keep the inputs' layout below it. Default with `retry_failed`: the
            manifest's folder.
        config: Settings for all scenes. Default: those of `SegmentConfig`, with `resume`.
        recursive: Look into the folders of folders.
        jobs: Worker processes; with 1 it all happens in this one. On GPUs, one a GPU at most.
        dask: Address of a dask scheduler, in place of `jobs`.
        on_error: "stop" ends the batch at the first failure.
        retry_failed: A manifest whose failed scenes are run again with the same settings;
            `inputs` is empty then.
        given: With `retry_failed`: layers of options that override the manifest's, weakest
            first. Default: the settings of `config` that differ from the defaults.
        mosaic: Write a VRT over all masks, one for each CRS and set of classes.
        merge_polygons: Write the polygons of all scenes as one layer, polygons.gpkg.
        stac_catalog: Write a STAC catalogue of all items; turns on `stac`.
        listener: Receives the events of the batch.
        model_loader: Builds the model in place of `rsclip.run.encoder.load_model` (tests).

    Returns:
        How every scene ended; failures of scenes do not raise.

    Raises:
        InputError: Something is wrong before any scene is begun: nothing matches, names clash, the
            classes, the model, the cluster or the manifest cannot be used.
        WriteError: The manifest cannot be begun.
    """
    began = time.monotonic()
    listener = listener or Listener()
    models = Models(model_loader)
    planned, root = plan_batch(
        inputs, classes, output_dir, config=config, recursive=recursive,
        retry_failed=retry_failed, given=given, mosaic=mosaic, merge_polygons=merge_polygons,
        stac_catalog=stac_catalog, jobs=jobs, dask=dask, models=models,
    )  # fmt: skip
    extras = Extras(mosaic, merge_polygons, stac_catalog)
    with Manifest(root) as manifest:
        finished: list[Outcome] = []
        rest = planned
        # A single process finds the finished scenes as it comes to them. Whole files are read
        # here rather than in worker processes, which take longer to start; a cluster shares that.
        if dask is not None or jobs > 1:
            finished, rest = find_finished_tasks(planned, root, models, checksums=dask is None)
        executor = choose_executor(rest, jobs, dask, models, listener)
        workers = max(1, min(executor.workers, len(rest)))
        files: list[Path] = []
        unwritten: list[RsclipError] = []
        outcomes = _run(
            executor, finished, rest, root, manifest, listener, workers, on_error, unwritten
        )  # fmt: skip
        # How the scenes ended is reported even if files over all of them cannot be written.
        try:
            known = read_manifest(manifest.path)
            write_table(root / TABLE, known)
            files.append(root / TABLE)
            made, failed = extras.write(root, known, manifest, listener.note)
            files += made
            unwritten += failed
        except WriteError as error:
            unwritten.append(error)
    if outcomes and all(item.problem and item.problem.kind == _OUTSIDE for item in outcomes):
        raise AreaError(
            "the area lies outside every scene",
            where="--aoi",
            remedy="Check it and its CRS: that of a box or WKT is the scene's unless it names one.",
        )
    unfinished = len(planned) - len(outcomes)
    seconds = time.monotonic() - began
    return Report(outcomes, manifest.path, files, seconds, unfinished, unwritten)


def plan_batch(
    inputs: Sequence[str | Path],
    classes: LegendSpec | None,
    output_dir: str | Path | None,
    *,
    config: SegmentConfig | None = None,
    recursive: bool = False,
    retry_failed: str | Path | None = None,
    given: Sequence[Mapping[str, Any]] | None = None,
    mosaic: bool = False,
    merge_polygons: bool = False,
    stac_catalog: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    models: Models | None = None,
) -> tuple[list[Task], Path]:
    """Return a batch's tasks and its folder, checked as far as possible without model and pixels.

    Args are those of `run_batch`, and `models`, which keeps the classes that are read.

    Raises:
        InputError: As `run_batch` does.
    """
    check_workers(jobs, dask)
    layer = changed_settings(config or SegmentConfig(resume=True))
    if stac_catalog:
        layer["stac"] = True
    if retry_failed is not None:
        if inputs:
            raise OptionError(
                "the manifest says which scenes to run",
                where="--retry-failed",
                remedy="Leave out the inputs, or run the whole batch again with them.",
            )
        layers = [layer] if given is None else [*given, {"stac": True} if stac_catalog else {}]
        how = {name: layer[name] for name in HOW_OPTIONS if name in layer}
        tasks = _failed_tasks(Path(retry_failed), classes, [*layers, how])
        if output_dir is None:
            path = Path(retry_failed)
            output_dir = path if path.is_dir() else path.parent
    else:
        if output_dir is None:
            raise OptionError("no output folder is named", remedy="Name one (-o).")
        entries = find_scenes(inputs, output_dir, recursive=recursive)
        tasks = [_task(entry, classes, layer) for entry in entries]
    root = expand(output_dir).absolute()
    read = _check(tasks, root, models or Models())
    extras = Extras(mosaic, merge_polygons, stac_catalog)
    extras.check(root, tasks, read, overwrite=bool(config and config.overwrite))
    return tasks, root


def _run(
    executor: Executor,
    finished: Sequence[Outcome],
    rest: Sequence[Task],
    root: Path,
    manifest: Manifest,
    listener: Listener,
    workers: int,
    on_error: OnError,
    unwritten: list[RsclipError],
) -> list[Outcome]:
    listener.begin(len(finished) + len(rest), workers)
    outcomes: list[Outcome] = []
    told: set[str] = set()
    with contextlib.closing(executor(rest, root, listener)) as running:
        for outcome in chain(finished, running):
            outcomes.append(outcome)
            try:
                manifest.append(outcome)
            except WriteError as error:
                # Where there is no room for a line of text, there is none for a mask.
                unwritten.append(error)
                break
            for text in outcome.notes:
                if text not in told:
                    told.add(text)
                    listener.note(text)
            listener.end(outcome)
            if outcome.status == "failed" and on_error == "stop":
                break
            if outcome.problem is not None and _FULL in outcome.problem.message:
                listener.note("the disk is full: the batch ends; the other scenes are not begun")
                break
    return outcomes


def _task(entry: Entry, classes: LegendSpec | None, layer: dict[str, Any]) -> Task:
    spec = entry.classes if entry.classes is not None else classes
    if spec is None and layer.get("adapter") is not None:
        spec = read_header(layer["adapter"]).legend
    if spec is None:
        raise OptionError(
            "no classes", where=entry.given or entry.source, remedy="Give them with --classes."
        )
    if entry.classes is not None and (file := class_file(entry.classes)) is not None:
        # Relative to the list's folder, as the scenes of a list are.
        spec = Path(entry.given.rpartition(", line ")[0]).absolute().parent / file
    try:
        settings = portable(changed_settings(build_config(layer, entry.settings)))
    except OptionError as error:
        raise OptionError(error.what, where=entry.given, remedy=error.remedy) from error
    return Task(entry.source, entry.folder, plain_spec(spec), settings)


def _failed_tasks(
    path: Path, classes: LegendSpec | None, layers: Sequence[Mapping[str, Any]]
) -> list[Task]:
    all_failed = [outcome for outcome in read_manifest(path) if outcome.status == "failed"]
    # A retry of a refused scene would be refused again.
    failed = [outcome.task for outcome in all_failed if not outcome.refused]
    if not failed and all_failed:
        raise InputError(
            f"no scene in this manifest has failed, but {len(all_failed)} were refused because "
            "outputs made with other settings exist",
            where=path,
            remedy="Run the batch with those settings, or with --overwrite.",
        )
    if not failed:
        raise InputError(
            "no scene in this manifest has failed", where=path, remedy="There is nothing to do."
        )
    secret = [task.source for task in failed if "://" in task.source and "=..." in task.source]
    if secret:
        raise InputError(
            f"secrets of these addresses are not kept in the manifest: {'; '.join(secret)}",
            where=path,
            remedy="Run the whole batch again: finished scenes are skipped.",
        )
    for task in failed:
        refuse_code(task.settings, path, *layers)
    spec = None if classes is None else plain_spec(classes)
    return [
        Task(
            task.source,
            task.folder,
            task.classes if spec is None else spec,
            portable(changed_settings(build_config(_without_how_options(task.settings), *layers))),
        )
        for task in failed
    ]


def _without_how_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without the ones that say how to treat existing outputs."""
    return {key: value for key, value in settings.items() if key not in HOW_OPTIONS}


def _check(tasks: Sequence[Task], root: Path, models: Models) -> set[str]:
    """Check classes, settings and names before a model is loaded.

    Returns:
        The input files, which no output may replace.

    Raises:
        InputError: The first thing that is wrong.
    """
    check_reach(root)
    if root.exists() and not root.is_dir():
        raise OutputError("not a folder", where=root, remedy="Name a folder (-o).")
    seen: set[str] = set()
    inputs: set[str] = set()
    with warnings.catch_warnings():
        # The same warnings come again with the scenes.
        warnings.simplefilter("ignore", RsclipWarning)
        for task in tasks:
            config = task.config()
            inputs.add(task.source)
            facts = repr((task.classes, config.replace(**dict.fromkeys(_OF_THE_SCENE))))
            if facts in seen:
                continue
            seen.add(facts)
            load_templates(config.templates)
            if config.aoi is not None:
                check_aoi(config.aoi)
            job = Job.prepare([], models.classes(task, config), root, config)
            within_memory(job)
            inputs.update(job.inputs)
    for task in tasks:
        folder = task.output_dir(root)
        for name in output_names(stem_of(task.source), task.config()).values():
            if str(folder / name) in inputs:
                raise OutputError(
                    "an output would replace an input",
                    where=folder / name,
                    remedy="Choose another output folder (-o).",
                )
    return inputs


def plan_tasks(
    tasks: Sequence[Task], root: Path, models: Models, *, dask: str | None = None
) -> list[ScenePlan]:
    """Return a plan for every scene, in their order; nothing is written.

    One window is timed, on the first scene that can be read.

    Args:
        tasks: As `plan_batch` gives them.
        root: The output folder.
        models: As `plan_batch` was given it.
        dask: Address of a scheduler, which must answer; the window is timed here all the same.

    Raises:
        InputError: The model or the classes are wrong, or no scheduler answers.
    """
    if dask is not None:
        from rsclip.batch.dask_client import check_scheduler

        check_scheduler(dask)
    finished, rest = find_finished_tasks(tasks, root, models)
    done = {outcome.task.name for outcome in finished}
    plans: list[ScenePlan] = []
    second = None
    for _, group in groupby(rest, key=_kind):
        same = list(group)
        config = same[0].config()
        made = plan_scenes(
            [task.source for task in same],
            models.classes(same[0], config),
            same[0].output_dir(root),
            config=config,
            backbone=models.backbone(config),
            window_seconds=second,
        )
        timed = [plan.window_seconds for plan in made if plan.windows]
        second = timed[0] if second is None and timed else second
        plans += made
    others = iter(plans)
    return [
        ScenePlan(task.source, "finished") if task.name in done else next(others) for task in tasks
    ]


def _kind(task: Task) -> tuple[str, str, str]:
    return task.folder, repr(task.classes), repr(task.settings)
