"""`study`: windows of scenes through a model, its layers measured, its last block in variants."""

import contextlib
import dataclasses
import itertools
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from rsclip.config import (
    DEFAULT_LOGIT_SCALE,
    SELF,
    STUDY_OPTIONS,
    STUDY_SEED,
    STUDY_WINDOWS,
    SegmentConfig,
    build_config,
)
from rsclip.errors import EncodeError, OptionError, is_memory_error
from rsclip.keywords import StudyKeywords
from rsclip.methods.batch_size import automatic_batch, free_memory
from rsclip.methods.segmenter import place
from rsclip.model import Backbone, Trunk, load_backbone
from rsclip.model.second_vit import SecondVit
from rsclip.model.weights.names import AUTO
from rsclip.model.weights.second import load_second_vit, second_vit_of
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.run.encoder import warn_of_unknown_words
from rsclip.run.provenance import software, utc_now, without_secrets
from rsclip.run.scenes_and_classes import files_read
from rsclip.study.diagnose.layers import LayerStatistics, LayerStudy, LayerSums, Part
from rsclip.study.diagnose.report import NAMES, write_report, write_tables
from rsclip.study.diagnose.scenes import find_scenes
from rsclip.study.diagnose.sweeps import (
    CLEARCLIP,
    PART_VARIANTS,
    Labeller,
    Score,
    Scores,
    find_variants,
)
from rsclip.study.diagnose.windows import Sample, sample_windows
from rsclip.study.window_maps import Picture
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend, LegendSpec, class_file, load_legend
from rsclip.words.prompts import class_queries, load_templates

__all__ = ["Study", "study"]

_PICTURES = 4
# Labels that the report shows side by side.
_SHOWN = {**PART_VARIANTS, "ClearCLIP": CLEARCLIP}


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes:
        paths: Key ("report", "layers", ..., "record") -> path of every output.
        windows: Windows that were looked at.
        layers: Statistics by layer and part.
        beside: Those of the second ViT; empty without one.
        attention_norms: Kind of attention -> mean norm of the last layer's X_attn.
        scores: Of every variant of the last block; empty without labels.
        record: How it was made.
    """

    paths: Mapping[str, Path]
    windows: int
    layers: Sequence[LayerStatistics]
    beside: Sequence[LayerStatistics]
    attention_norms: Mapping[str, float]
    scores: Sequence[Score]
    record: Mapping[str, Any] = field(repr=False)


def study(
    source: str | Path,
    output_dir: str | Path,
    *,
    classes: LegendSpec | None = None,
    labels: str | Path | None = None,
    windows: int = STUDY_WINDOWS,
    seed: int = STUDY_SEED,
    config: SegmentConfig | None = None,
    backbone: Backbone | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[StudyKeywords],
) -> Study:
    """Study a model on a random sample of windows of a scene or of a folder's scenes.

    Writes report.html, tables (CSV) and study.json: see docs/diagnose.md.

    Args:
        source: A scene (file, URL, GDAL virtual path) or a folder of scenes.
        output_dir: Where the outputs go.
        classes: As `rsclip.segment` takes them. Without, only the layers are measured.
        labels: The truth: a raster or vector file, or a folder with `<stem>_labels.*`. Without,
            nothing is scored.
        windows: How many windows, at most.
        seed: Of the choice of windows.
        config: Settings; `config.STUDY_OPTIONS` are those that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all).
        **options: Fields of `SegmentConfig`.

    Raises:
        InputError: Something is wrong with the scenes, labels, classes, options or model.
        RunError: Pixels cannot be read, the encoder failed or an output cannot be written.
    """
    began = time.monotonic()
    settings = _merge(config, options)
    _check(windows, seed, classes, labels)
    legend = None if classes is None else load_legend(classes, background=settings.background)
    scenes = find_scenes(source)
    inputs: list[str | Path] = [
        *scenes,
        *([] if classes is None else files_read(class_file(classes), settings)),
    ]
    if labels is not None:
        inputs.append(labels)
    with Staging(output_dir, NAMES, overwrite=settings.overwrite, inputs=inputs) as staging:
        second = None if settings.affinity is None else load_second_vit(settings.affinity)
        model = backbone or load_backbone(settings.model, settings.weights)
        place(model, settings.device, settings.precision)
        gathered = _Gathered(model, second, legend, settings, scored=labels is not None)
        outline = model.outline
        if second is not None:
            outline = dataclasses.replace(outline, clip_patch=second.patch)
        samples = sample_windows(
            scenes, outline, settings,
            count=windows, seed=seed, labels=labels, legend=legend,
        )  # fmt: skip
        # Closed at once on an error: a sample holds an open scene.
        with contextlib.closing(samples):
            for batch in _batches(samples, gathered.batch_size):
                gathered.add(batch)
                if progress is not None:
                    progress(gathered.layers.windows, windows)
        found = gathered.layers.statistics()
        beside = gathered.beside.statistics() if gathered.beside is not None else []
        norms = gathered.layers.attention_norms()
        scores = gathered.scored()
        record = {
            "software": software(),
            "started": utc_now(),
            "source": without_secrets(str(source)),
            "labels": None if labels is None else str(labels),
            "model": {**model.facts(), "device": str(model.device), "depth": model.depth},
            "affinity": None if second is None else second.facts(),
            "classes": None if legend is None else legend.to_dict(),
            "settings": {name: settings.to_dict()[name] for name in STUDY_OPTIONS},
            "seed": seed,
            "windows": [
                {"scene": name, "row": at.row, "col": at.col,
                 "height": at.height, "width": at.width}
                for name, at in gathered.places
            ],
            "seconds": round(time.monotonic() - began, 2),
        }  # fmt: skip
        write_tables(staging, found, beside, norms, scores, legend, gathered.places, record)
        write_report(staging, found, beside, norms, scores, legend, gathered.pictures, record)
        write_record(staging.path("record"), record)
        paths = staging.publish()
    return Study(paths, gathered.layers.windows, found, beside, norms, scores, record)


class _Gathered:
    """What a study holds while windows go by."""

    def __init__(
        self,
        model: Backbone,
        second: SecondVit | None,
        legend: Legend | None,
        config: SegmentConfig,
        *,
        scored: bool,
    ) -> None:
        self._model = model
        self._second = None if second is None else second.to(model.device)
        self.layers = LayerStudy(model.depth, model.width)
        self.beside = None if second is None else LayerSums(second.depth, second.width)
        self.places: list[tuple[str, Any]] = []
        self.pictures: list[Picture] = []
        self._variants = find_variants()
        self._labeller = self._scores = None
        side = (config.window, config.window) if config.window else model.image_shape
        patch = model.patch if second is None else min(model.patch, second.patch)
        tokens = 1 + (side[0] // patch) * (side[1] // patch)
        free = free_memory(model.device)
        self.batch_size = config.batch_size or automatic_batch(tokens, model.width, free=free)
        if legend is None:
            return
        queries = class_queries(legend, load_templates(config.templates))
        text = model.text_features([query.prompts for query in queries])
        warn_of_unknown_words(model, legend)
        scale = legend.calibration.logit_scale or model.defaults.logit_scale or DEFAULT_LOGIT_SCALE
        self._labeller = Labeller(legend, text, Layout.of(legend, queries), scale)
        self._scores = Scores(legend) if scored else None

    @torch.inference_mode()
    def add(self, batch: Sequence[Sample]) -> None:
        """Take in windows of one shape."""
        images = torch.from_numpy(np.stack([each.image for each in batch]))
        try:
            images = images.to(self._model.device)
            if self._second is not None and self.beside is not None:
                self.beside.take(map(_parts, self._second.layers(images)), len(images))
            trunk = Trunk(self._model, self._model.normalise(images))
            self.layers.add(trunk)
            self._label(trunk, batch)
        except (RuntimeError, MemoryError) as error:
            if is_memory_error(error):
                raise EncodeError(
                    f"{len(batch)} windows do not fit the memory of {self._model.device}",
                    remedy="Use a smaller --batch-size, --window or model.",
                ) from error
            raise
        self.places += [(without_secrets(each.scene), each.window) for each in batch]

    def scored(self) -> list[Score]:
        """Return the scores of all variants, if any."""
        return [] if self._scores is None else self._scores.of(self._variants)

    def _label(self, trunk: Trunk, batch: Sequence[Sample]) -> None:
        if self._labeller is None:
            return
        shown = batch[: max(0, _PICTURES - len(self.pictures))]
        wanted = {*_SHOWN.values()} if shown else set()
        if self._scores is not None:
            wanted |= {variant.options for variant in self._variants}
        maps = {}
        # Sets have no order of their own, and sums of counts need none.
        for options, labels in self._labeller.labels(trunk, list(wanted)):
            maps[options] = labels[: len(shown)]
            if self._scores is not None:
                truth = np.stack([each.truth for each in batch if each.truth is not None])
                self._scores.add(options, truth, labels)
        for i, each in enumerate(shown):
            labelled = {name: maps[options][i] for name, options in _SHOWN.items()}
            self.pictures.append(Picture(each.image, each.valid, each.truth, labelled))


def _parts(tokens: tuple[torch.Tensor, torch.Tensor]) -> dict[Part, torch.Tensor]:
    entering, whole = tokens
    return {"X_res": entering, "X_attn": whole - entering, "X_sum": whole}


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    """Yield samples in batches of one shape: small scenes may have smaller windows."""
    for _, alike in itertools.groupby(samples, key=lambda each: each.window.shape):
        while batch := list(itertools.islice(alike, size)):
            yield batch


def _merge(config: SegmentConfig | None, options: Mapping[str, Any]) -> SegmentConfig:
    """Return the settings; a second ViT given as the model stands beside the one chosen for us."""
    settings = build_config({} if config is None else config.to_dict(), options)
    if settings.affinity is None and second_vit_of(settings.model, settings.weights) is not None:
        named = str(settings.weights or settings.model)
        settings = settings.replace(model=AUTO, weights=None, affinity=named)
    if settings.affinity == SELF:
        raise OptionError(
            "the model's own layers are studied in any case",
            where=f"--affinity={SELF}",
            remedy="Leave it out, or give a second ViT, such as dino-vits16.",
        )
    return settings


def _check(windows: int, seed: int, classes: LegendSpec | None, labels: str | Path | None) -> None:
    if windows < 1:
        raise OptionError(f"{windows} windows", where="--windows", remedy="It takes 1 or more.")
    if seed < 0:
        raise OptionError(f"{seed} is negative", where="--seed", remedy="It takes 0 or more.")
    if labels is not None and classes is None:
        raise OptionError(
            "labels mean nothing without classes",
            where="--labels",
            remedy="Give --classes: words, a class file or set:NAME.",
        )
    if labels is not None and not Path(labels).exists():
        raise OptionError("no such file or folder", where=f"--labels={shlex.quote(str(labels))}")
