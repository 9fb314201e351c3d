"""Scenes, one after the other, with one loaded model, into finished files."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rsclip.config import POLYGON_OPTIONS, SegmentConfig
from rsclip.errors import (
    InputError,
    ReadError,
    RsclipError,
    collect_warnings,
    out_of_memory,
    warn,
)
from rsclip.outputs.companions import kept_scores, open_scores, output_names, write_companions
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.records.record import provenance_tags, write_record
from rsclip.run.bands import BandedScene, BandWorkers
from rsclip.run.checkpoint import Checkpoint, has_finished_rows
from rsclip.run.encoder import Model, ModelLoader, ModelOnDemand, load_model
from rsclip.run.engine_check import choose_engine
from rsclip.run.job import Job
from rsclip.run.later_outputs import add_outputs
from rsclip.run.pipeline import Progress, SceneRun
from rsclip.run.provenance import describe_outcome, describe_run
from rsclip.run.resume import (
    decide,
    decide_without_model,
    former_outputs,
    known_by_content,
    output_facts,
)
from rsclip.run.same_run import (
    describe_request,
    fingerprint,
    input_identity,
    settings_identity,
)
from rsclip.run.scenes_and_classes import ClassesRead, Source
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.scene.scene import Scene, gdal_env
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    import geopandas
    import PIL.Image

    from rsclip.model import Backbone

__all__ = [
    "Failure",
    "Model",
    "SegmentResult",
    "find_finished",
    "load_model",
    "output_names",
    "segment_scenes",
]


@dataclass(frozen=True)
class SegmentResult:
    """What a finished segmentation left behind.

    Attributes:
        scene: The scene as it was named.
        paths: Key ("mask", "areas", "record", ...) -> path of every output; docs/outputs.md.
        legend: Classes with values and colours; 0 is unclassified, `legend.nodata` no data.
        shares: Class name -> share (0 to 1) of the valid pixels, "unclassified" included.
        run: The run record as a mapping.
        status: "done", also where files were added to a finished run; or "skipped" where it was
            finished before (`resume`).
    """

    scene: str
    paths: Mapping[str, Path]
    legend: Legend
    shares: Mapping[str, float]
    run: Mapping[str, Any] = field(repr=False)
    status: Literal["done", "skipped"] = "done"
    _kept: object = field(default=None, repr=False, compare=False)
    """Temporary files that last as long as this result."""

    @property
    def mask_path(self) -> Path:
        """Path of the mask, a COG on the scene's grid."""
        return self.paths["mask"]

    @property
    def record(self) -> Path:
        """Path of the run record (JSON)."""
        return self.paths["record"]

    def mask(self) -> np.ndarray:
        """Read the labels: legend.dtype (H, W).

        Raises:
            ReadError: The mask is gone, or cannot be read.
        """
        with guarded(self.mask_path, ReadError), open_dataset(self.mask_path) as dataset:
            labels: np.ndarray = dataset.read(1)
        return labels

    def polygons(self) -> "geopandas.GeoDataFrame":
        """Return the polygons: those that were written, else made now from the mask.

        Columns are docs/outputs.md's, geometry in the scene's CRS (in WGS84 if GeoJSON was asked
        for). All are in memory; pyogrio reads larger files piece by piece.

        Raises:
            RunError: A read or a write failed.
        """
        from rsclip.outputs.polygonize import polygonize, read_polygons

        if "polygons" in self.paths:
            return read_polygons(self.paths["polygons"])
        options = {
            name: value
            for name, value in self.run["settings"].items()
            # The mask is sieved already.
            if name in POLYGON_OPTIONS and name not in ("overwrite", "sieve")
        }
        return polygonize(self.mask_path, confidence=self.paths.get("confidence"), **options)

    def preview(self) -> "PIL.Image.Image":
        """Return the preview: the one that was written, else drawn now from scene and mask.

        Raises:
            InputError: The scene cannot be opened any more.
            ReadError: Its pixels cannot be read.
        """
        import PIL.Image

        from rsclip.outputs.pictures.preview import draw_preview

        if "preview" in self.paths:
            with PIL.Image.open(self.paths["preview"]) as picture:
                return picture.copy()
        return draw_preview(self.run, self.mask_path)


@dataclass(frozen=True)
class Failure:
    """A scene of several that could not be segmented."""

    scene: str
    error: RsclipError


_KEPT = "Finished rows are kept: --resume goes on from there."


def segment_scenes(
    scenes: Sequence[str | Path],
    classes: "LegendSpec | ClassesRead | None",
    output_dir: str | Path = ".",
    *,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    model_loader: ModelLoader | None = None,
    progress: Progress | None = None,
    protect: Sequence[str | Path] = (),
    hashes: dict[str, str] | None = None,
    workers: BandWorkers | None = None,
) -> Iterator[SegmentResult | Failure]:
    """Segment scenes one after the other with one loaded model.

    Args:
        scenes: Files, URLs or GDAL virtual paths, each with a stem of its own.
        classes: As `segment` takes them.
        output_dir: One folder for all.
        config: Settings.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all), anew for each scene.
        model_loader: Builds the encoder in place of `load_model` (tests, benchmarks).
        protect: Further files that no output may replace, such as the class file.
        hashes: SHA-256 of files that are known, as `input_identity` takes them.
        workers: Do each scene in bands, where it is large enough.

    Yields:
        A result, or the failure of one scene; the others still run.

    Raises:
        InputError: Classes, options, output names or the model are wrong: no scene is begun but,
            with `resume`, those are told that were finished before.
    """
    job = Job.prepare(scenes, classes, output_dir, config, protect)
    job.check_outputs()
    model = ModelOnDemand(job, backbone, model_loader)
    if job.usable and not job.settings.resume:
        model.get()
    for source in job.sources:
        result: SegmentResult | Failure
        try:
            result = _segment_one(job, source, model, progress, hashes, workers)
        except RsclipError as error:
            if error is model.error:
                raise
            result = Failure(str(source.name), error)
        except MemoryError:
            result = Failure(str(source.name), out_of_memory(source.name))
        yield result


def find_finished(
    scene: str | Path,
    classes: ClassesRead,
    output_dir: str | Path,
    config: SegmentConfig,
    hashes: dict[str, str] | None = None,
) -> SegmentResult | None:
    """Return what a finished run of the same request left behind; no model is loaded.

    Args:
        scene: A file, URL or GDAL virtual path.
        classes: Classes.
        output_dir: Folder of its outputs.
        config: Settings.
        hashes: SHA-256 of files that are known, as `input_identity` takes them.

    Returns:
        The result, "skipped"; None where `segment_scenes` has something to do or to refuse.
    """
    stem = Scene.stem_of(scene)
    if not config.resume or not Path(output_dir, output_names(stem, config)["record"]).is_file():
        return None
    with contextlib.suppress(RsclipError), contextlib.ExitStack() as stack:
        job = Job.prepare([scene], classes, output_dir, config)
        job.check_outputs()
        (source,) = job.sources
        stack.enter_context(gdal_env())
        opened = stack.enter_context(source.open())
        names = job.names(stem, opened)
        final = {key: job.folder / name for key, name in names.items()}
        identity = input_identity(opened, checksum=config.checksum, hashes=hashes)
        found = decide_without_model(job.legend, job.settings, opened.area_digest, final, identity)
        if found is not None and found.action == "skip":
            return _skipped(opened, final, job.legend, found.record, config)
    return None


def _segment_one(
    job: Job,
    source: Source,
    lazy: ModelOnDemand,
    progress: Progress | None,
    hashes: dict[str, str] | None,
    workers: BandWorkers | None,
) -> SegmentResult:
    folder, legend, config = job.folder, job.legend, job.settings
    with gdal_env(), contextlib.ExitStack() as stack:
        said = stack.enter_context(collect_warnings())
        said += source.warnings
        scene = stack.enter_context(source.open())
        names, area = job.names(source.stem, scene), scene.area_digest
        identity = input_identity(scene, checksum=config.checksum, hashes=hashes)
        final = {key: folder / name for key, name in names.items()}
        stack.enter_context(_telling_what_is_kept(Staging.work_of(folder, names)))
        decision = None
        if lazy.named:
            decision = decide_without_model(legend, config, area, final, identity)
        if decision is None:
            model = lazy.get()
            config = apply_defaults(scene, config, model.defaults)
            identity |= settings_identity(legend, config, area, model.facts)
            decision = decide(legend, config, model.facts, final, identity)
        if decision.action == "skip":
            return _skipped(scene, final, legend, decision.record, config)
        if decision.action == "add":
            done = add_outputs(scene, folder, names, legend, config, decision, job.inputs, said)
            return _result(scene.source, final, legend, done, "done")
        again = decision.action == "replace"
        if again:
            warn(f"{scene.source}: {decision.reason}")
        warn_of_pixel_size(scene, job.settings, model.defaults.gsd_range)
        run = SceneRun(scene, model.encoder, legend, model.queries, config)
        run.evidence.warn_of_gaps(scene)
        engine = choose_engine(scene, run.grid, model, config)
        staging = stack.enter_context(
            Staging(
                folder,
                names,
                overwrite=config.overwrite or again,
                inputs=job.inputs,
                # Unasked, nothing goes but what the run itself had made.
                former=None if again else former_outputs(folder, names),
            )
        )
        same = fingerprint(names, identity, config, model)
        banded = None
        if workers is not None:
            banded = BandedScene(
                run, scene.source, model, staging.work, same, kept_scores(names), workers,
                resume=config.resume, progress=progress,
            )  # fmt: skip
        in_bands = banded is not None and banded.committed
        checkpoint = Checkpoint(staging.work, same, resume=config.resume)
        stack.callback(lambda: staging.keep_work(has_finished_rows(staging.work)))
        stack.callback(checkpoint.close)
        if checkpoint.state is not None:
            # Begun by one process, which goes on.
            banded = None
        elif checkpoint.discarded and not in_bands:
            warn(
                f"{scene.source}: begun with another input, other settings or batches: starts over"
            )
        record = describe_run(scene, run, legend, config, model.queries, model.facts) | identity
        record |= engine
        record["outputs"] = names
        if lazy.named:
            record |= describe_request(legend, job.settings, area, model.facts)
        tags = provenance_tags(record)
        grid = scene.shape, scene.crs, scene.transform
        writer = stack.enter_context(MaskWriter(staging.path("mask"), *grid, legend, tags))
        scores = open_scores(stack, staging, names, scene, legend, tags)
        counts = run.write(writer, progress, scores, checkpoint, banded)
        record.update(describe_outcome(run, counts, legend))
        if banded is not None and len(banded.bands) > 1:
            record["bands"] = len(banded.bands)
        assert run.radiometry is not None
        _warn_of_pixels(scene.source, record)
        record["warnings"] = _all_warnings(job, model, said)
        write_companions(staging, names, folder, scene, run.radiometry, legend, record, config)
        record["made"] = output_facts(staging.path(key) for key in names if key != "record")
        record["warnings"] = _all_warnings(job, model, said)
        write_record(staging.path("record"), record)
        paths = staging.publish()
    return _result(scene.source, paths, legend, record, "done")


def _skipped(
    scene: Scene,
    paths: Mapping[str, Path],
    legend: Legend,
    record: Mapping[str, Any],
    config: SegmentConfig,
) -> SegmentResult:
    if config.checksum and not known_by_content(record):
        warn(
            f"{scene.source}: finished without --checksum: its file was known by size and time of "
            "change, not by content"
        )
    return _result(scene.source, paths, legend, record, "skipped")


def _warn_of_pixels(source: str | Path, record: Mapping[str, Any]) -> None:
    if record["unreadable"]:
        count = len(record["unreadable"])
        blocks = "a block" if count == 1 else f"{count} blocks"
        they = "it is" if count == 1 else "they are"
        warn(f"{source}: {blocks} could not be read: {they} nodata (listed in the run record)")
    if record["valid_pixels"] == 0:
        warn(f"{source}: no valid pixel: the mask is nodata throughout")


def _all_warnings(job: Job, model: Model, said: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*job.warnings, *model.warnings, *said]))


@contextlib.contextmanager
def _telling_what_is_kept(work: Path) -> Iterator[None]:
    """Add to what stops a run, from the loading of its model on, that `--resume` goes on from."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if has_finished_rows(work):
            if isinstance(error, RsclipError):
                error.remedy = " ".join(filter(None, [error.remedy, _KEPT]))
            else:
                error.add_note(_KEPT)
        raise


def _result(
    source: str,
    paths: Mapping[str, Path],
    legend: Legend,
    record: Mapping[str, Any],
    status: Literal["done", "skipped"],
) -> SegmentResult:
    shares = {item["name"]: item["share"] for item in record["results"]}
    return SegmentResult(source, paths, legend, shares, record, status)
