"""`compare`: one scene through several methods at once, and how their masks agree."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

import numpy as np

from rsclip.adapters.fitted_for import Header, read_header
from rsclip.config import COMPARE_OPTIONS, SegmentConfig, build_config
from rsclip.errors import OptionError
from rsclip.keywords import CompareKeywords
from rsclip.methods import get_method, parse_options
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.pictures.preview import write_preview
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.rasters.pam import write_pam
from rsclip.outputs.records.record import provenance_tags, write_record
from rsclip.outputs.styles.qml import write_mask_qml
from rsclip.run.encoder import Model, load_for_job, load_model, outline_of
from rsclip.run.job import Job
from rsclip.run.pipeline import Counts, Progress, SceneRun
from rsclip.run.provenance import describe_outcome, describe_run
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import Scene, gdal_env
from rsclip.study.compare.agreement import Agreement, count_agreement
from rsclip.study.compare.choices import Choice, parse_choices
from rsclip.study.compare.picture import coarse_shape, draw_comparison
from rsclip.study.compare.tables import write_agreement, write_scores
from rsclip.study.truth import Labels, open_labels
from rsclip.study.variations import Variation, vary
from rsclip.types import ModelDefaults
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What methods made of one scene.

    Attributes:
        scene: The scene as it was named.
        methods: As they were named.
        legend: Classes.
        paths: Key ("clearclip_mask", ..., "picture", "scores", "agreement", "record") -> path.
        shares: Method -> class name -> share (0 to 1) of the valid pixels.
        agreement: Counts of agreement between the masks, and with the labels.
        record: How it was made.
    """

    scene: str
    methods: Sequence[str]
    legend: Legend
    paths: Mapping[str, Path]
    shares: Mapping[str, Mapping[str, float]]
    agreement: Agreement
    record: Mapping[str, Any] = field(repr=False)


def compare(
    scene: str | Path,
    classes: LegendSpec | None,
    methods: str | Sequence[str] = (),
    output_dir: str | Path = ".",
    *,
    gsd: Sequence[float] = (),
    words: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    labels: str | Path | None = None,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Progress | None = None,
    protect: Sequence[str | Path] = (),
    **options: Unpack[CompareKeywords],
) -> Comparison:
    """Segment one scene by several methods in one pass, or by several settings.

    The scene is read once for all methods, and blocks of the model that methods leave alone run
    once for all; each pixel size, word variant and threshold is a pass of its own. Each mask is
    the one that `segment` would write. See docs/methods.md for the outputs.

    Args:
        scene: A file, URL or GDAL virtual path.
        classes: As `rsclip.segment` takes them; None: those of the `adapter`.
        methods: Names, such as "clearclip,gem:blocks=4" or a sequence of them; none: that of the
            settings. An `adapter` in the
            settings is one more, with its own method.
        output_dir: Where the outputs go.
        gsd: Pixel sizes in metres to compare.
        words: Some of "given", "first" and "tuned", as `rsclip.try_settings` takes them.
        thresholds: Lowest scores that keep a label, to compare.
        labels: The truth: a raster or vector file. Without, nothing is scored.
        config: Settings; `config.COMPARE_OPTIONS` are those that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all).
        protect: Further files that no output may replace.
        **options: Fields of `SegmentConfig`.

    Raises:
        InputError: Something is wrong before any pixel is read: the scene, classes, methods, an
            option, the model, or labels that do not overlap the scene or share no class with it.
        RunError: Something failed after; nothing is left under a final name.
    """
    settings = build_config({} if config is None else config.to_dict(), options)
    choices = parse_choices(methods or settings.method)
    kept = settings.to_dict()
    if settings.adapter is not None:
        # The model's adapter is that of its first method.
        choices = [_adapted(read_header(settings.adapter)), *choices]
    # What only `segment` writes is neither checked nor recorded.
    settings = build_config({name: kept[name] for name in COMPARE_OPTIONS})
    if len(gsd) > 1 and settings.resample_output == "working":
        raise OptionError(
            "masks of several pixel sizes have no grid in common", where="--resample-output",
            remedy="Leave it out: masks then lie on the scene's own grid.",
        )  # fmt: skip
    # Memory is estimated for the method that takes most of it.
    heaviest = max(choices, key=lambda each: get_method(each.method).pair_matrices)
    settings = settings.replace(method=heaviest.method, vector_format="none", areas=False)
    inputs = [*protect, *([] if labels is None else [labels])]
    passes = [
        _Pass.prepare(each, choices, settings, scene, output_dir, inputs)
        for each in vary(classes, settings.background, settings.adapter, gsd=gsd, words=words,
                         thresholds=thresholds)
    ]  # fmt: skip
    every = [choice for each in passes for choice in each.choices]
    first = passes[0].job
    legend, names = first.legend, _names(first.sources[0].stem, every)
    Staging.check(first.folder, names, overwrite=settings.overwrite, inputs=first.inputs)
    load = _once(settings, backbone)
    with gdal_env(), contextlib.ExitStack() as stack:
        scenes = [stack.enter_context(each.job.sources[0].open()) for each in passes]
        for each, opened in zip(passes, scenes, strict=True):
            each.lay_grid(opened, outline_of(each.job.settings, backbone).defaults)
        truth = None
        if labels is not None:
            truth = stack.enter_context(open_labels(labels, scenes[0], legend))
        runs = [
            each.start(opened, load_for_job(each.job, backbone, _loader(choices, load),
                                            methods=len(choices)))
            for each, opened in zip(passes, scenes, strict=True)
        ]  # fmt: skip
        staging = stack.enter_context(
            Staging(first.folder, names, overwrite=settings.overwrite, inputs=first.inputs)
        )
        counts: list[Counts] = []
        outcomes: list[dict[str, Any]] = []
        records = []
        for each, opened, (run, model) in zip(passes, scenes, runs, strict=True):
            own = describe_run(
                opened, run, each.job.legend, each.settings, model.queries, model.facts
            )
            own["settings"] = {name: own["settings"][name] for name in COMPARE_OPTIONS}
            records.append(own)
            found = _segment(staging, each.choices, opened, run, each.job.legend, own, progress)
            counts += found
            outcomes += [{**describe_outcome(run, one, legend), **each.facts} for one in found]
        agreement = _finish(staging, every, scenes[0], runs[0][0], legend, counts, truth)
        record = {**records[0], **_outcome(every, outcomes, agreement)}
        record["labels"] = None if labels is None else str(labels)
        write_record(staging.path("record"), record)
        paths = staging.publish()
    shares = {
        item["label"]: {each["name"]: each["share"] for each in item["results"]}
        for item in record["methods"]
    }
    return Comparison(
        str(scene), [each.label for each in every], legend, paths, shares, agreement, record
    )


@dataclass
class _Pass:
    """One reading of the scene: all methods by one variation of the settings.

    Attributes:
        job: What it was asked for.
        choices: The methods, named with the variation.
        settings: As they hold for the model and the scene.
        facts: What the record says of the variation; empty for the settings as they are.
    """

    job: Job
    choices: Sequence[Choice]
    settings: SegmentConfig
    facts: Mapping[str, Any]

    @classmethod
    def prepare(
        cls,
        variation: Variation,
        choices: Sequence[Choice],
        settings: SegmentConfig,
        scene: str | Path,
        folder: str | Path,
        inputs: Sequence[str | Path],
    ) -> Self:
        settings = settings.replace(**variation.settings)
        job = Job.prepare([scene], variation.classes, folder, settings, inputs)
        if (error := job.sources[0].error) is not None:
            raise error
        own = choices
        facts: dict[str, Any] = {}
        if variation.label:
            own = [
                replace(
                    each,
                    label=f"{each.label}, {variation.label}",
                    slug=f"{each.slug}{variation.slug}",
                )
                for each in choices
            ]
            facts = {"words": variation.words, **variation.settings}
        return cls(job, own, job.settings, facts)

    def lay_grid(self, scene: Scene, defaults: ModelDefaults) -> None:
        """Lay the scene's working grid."""
        asked, self.settings = self.settings, apply_defaults(scene, self.settings, defaults)
        warn_of_pixel_size(scene, asked, defaults.gsd_range)

    def start(self, scene: Scene, model: Model) -> tuple[SceneRun, Model]:
        """Make the run ready for its model."""
        legend, queries = self.job.legend, model.queries
        return SceneRun(scene, model.encoder, legend, queries, self.settings), model


def _once(settings: SegmentConfig, backbone: "Backbone | None") -> "Callable[[], Backbone]":
    """Return a loader that loads once."""

    @functools.cache
    def load() -> "Backbone":
        from rsclip.model import load_backbone

        return backbone or load_backbone(settings.model, settings.weights)

    return load


def _adapted(header: Header) -> Choice:
    """Return an adapter's method as one more to compare."""
    options = parse_options(header.method, header.method_options)
    return Choice(f"{header.method} adapted", f"{header.method}-adapted", header.method, options)


def _names(stem: str, choices: Sequence[Choice]) -> dict[str, str]:
    """Return the file names of all outputs, the record last."""
    names = {}
    for each in choices:
        mask = f"{stem}_{each.slug}_mask"
        names[f"{each.slug}_mask"] = f"{mask}.tif"
        names[f"{each.slug}_names"] = f"{mask}.tif.aux.xml"
        names[f"{each.slug}_style"] = f"{mask}.qml"
    return {
        **names,
        "picture": f"{stem}_compare.png",
        "scores": f"{stem}_compare_classes.csv",
        "agreement": f"{stem}_compare_agreement.csv",
        "record": f"{stem}_compare.json",
    }


def _loader(choices: Sequence[Choice], backbone: "Callable[[], Backbone]") -> Any:
    methods = [(each.method, each.options) for each in choices]

    def load(legend: Legend, config: SegmentConfig) -> Model:
        ready = backbone()
        for each in choices:
            each.check(ready.depth)
        return load_model(legend, config, ready, methods)

    return load


def _segment(
    staging: Staging,
    choices: Sequence[Choice],
    scene: Scene,
    run: SceneRun,
    legend: Legend,
    record: Mapping[str, Any],
    progress: Progress | None,
) -> list[Counts]:
    """Write the masks of all methods, each with its own provenance."""
    grid = scene.shape, scene.crs, scene.transform
    with contextlib.ExitStack() as stack:
        writers = []
        for each in choices:
            own = {**record, "model": {**record["model"], **each.facts()}}
            path = staging.path(f"{each.slug}_mask")
            writers.append(
                stack.enter_context(MaskWriter(path, *grid, legend, provenance_tags(own)))
            )
        return run.write_each(writers, progress)


def _finish(
    staging: Staging,
    choices: Sequence[Choice],
    scene: Scene,
    run: SceneRun,
    legend: Legend,
    counts: Sequence[Counts],
    truth: Labels | None,
) -> Agreement:
    """Write what is made from the finished masks, but not the record."""
    masks = {each.label: staging.path(f"{each.slug}_mask") for each in choices}
    for each in choices:
        write_pam(staging.path(f"{each.slug}_names"), legend)
        write_mask_qml(staging.path(f"{each.slug}_style"), legend)
    agreement = count_agreement(masks, legend, truth, coarse_shape(scene.shape))
    pixels = {each.label: one.pixels.tolist() for each, one in zip(choices, counts, strict=True)}
    write_scores(staging.path("scores"), legend, pixels, agreement)
    write_agreement(staging.path("agreement"), legend, agreement)
    captions = {
        # The score first: of a long caption the end is left out.
        f"mIoU {100 * agreement.scores[label].miou:.1f} - {label}" if truth else label: path
        for label, path in masks.items()
    }
    mean = np.mean([one.pixels for one in counts], axis=0) / max(agreement.valid, 1)
    shares = {name: float(mean[value]) for value, name in legend.names.items()}
    assert run.radiometry is not None
    picture = draw_comparison(
        scene.stem, captions, legend, shares, scene, run.radiometry, agreement.truth
    )
    write_preview(staging.path("picture"), picture)
    return agreement


def _outcome(
    choices: Sequence[Choice], outcome: Sequence[Mapping[str, Any]], agreement: Agreement
) -> dict[str, Any]:
    """Return what the record gains in the end; numbers by class are by legend value."""
    own = ("results", "folded", "words", "gsd", "threshold")
    described = [
        {**choice.facts(), **{key: one[key] for key in own if key in one},
         **_scores(choice.label, agreement)}
        for choice, one in zip(choices, outcome, strict=True)
    ]  # fmt: skip
    return {
        **{key: value for key, value in outcome[0].items() if key not in own},
        "methods": described,
        "agreement": {
            "overall": agreement.overall,
            "classes": agreement.consent,
            "pairs": [
                {"methods": pair, "overall": each.accuracy, "classes": each.iou}
                for pair, each in agreement.pairs.items()
            ],
        },
    }


def _scores(label: str, agreement: Agreement) -> dict[str, Any]:
    found = agreement.scores.get(label)
    if found is None:
        return {}
    without = agreement.miou_without_other(label)
    return {"miou": found.miou, "miou_without_other": without,
            "accuracy": found.accuracy, "iou": found.iou, "f1": found.f1,
            "precision": found.precision, "recall": found.recall}  # fmt: skip
