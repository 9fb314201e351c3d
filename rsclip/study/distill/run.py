"""`distill`: a large model and unlabelled rasters in, a small model out."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from rsclip.config import DISTILL_OPTIONS, SegmentConfig, build_config
from rsclip.errors import InputError, ModelError, OptionError
from rsclip.files import expand
from rsclip.keywords import DistillKeywords
from rsclip.methods import parse_options
from rsclip.methods.segmenter import Segmenter
from rsclip.model import Backbone, load_backbone
from rsclip.model.weights.catalog import describe_model
from rsclip.model.weights.find import find_model
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.run.encoder import load_model
from rsclip.run.scenes_and_classes import ClassesRead, files_read
from rsclip.run.threads import prefetch
from rsclip.scene.scene import gdal_env
from rsclip.study.distill.images import draw_batches, find_images, hold_out, open_images, windows_of
from rsclip.study.distill.report import Distilled, agreement, card, mean_ious, relative_time
from rsclip.study.distill.student import (
    build_student,
    kept_blocks,
    student_config,
    write_weights,
)
from rsclip.study.distill.training import Lesson, Settings, train
from rsclip.study.pairs import Pair, by_stem, label_files, pair_up
from rsclip.types import FloatArray
from rsclip.version import __version__
from rsclip.words.legend import LegendSpec

__all__ = ["distill"]

_DEFAULT_CLASSES = "set:landcover"
_RATE_TIMES_WIDTH = 0.16
"""Wider towers want smaller steps: 1e-3 for nano, 2e-4 for ViT-B."""
_HELD_OUT_WINDOWS = 400
_WEIGHTS = "open_clip_model.safetensors"
_CHECKPOINT = "checkpoint.pt"
# The weights come last: a folder that has them is whole.
_NAMES = {
    "card": "README.md", "report": "report.json", "config": "open_clip_config.json",
    "weights": _WEIGHTS,
}  # fmt: skip


def distill(
    teacher: str | Path,
    images: str | Path,
    output: str | Path,
    *,
    shape: str = "small",
    classes: LegendSpec | None = None,
    labels: str | Path | None = None,
    steps: int = 2_000,
    batch: int = 32,
    icl: float = 0.0,
    seed: int = 0,
    config: SegmentConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[DistillKeywords],
) -> Distilled:
    """Teach a smaller model to see as a large one does, on rasters without labels.

    The student has some blocks of the teacher's image tower, and its text tower as it is: words are
    encoded once for a run, so that a smaller one would gain little. `segment(..., model=output)`
    uses it.

    Args:
        teacher: As `load_model` takes it.
        images: A folder of rasters.
        output: The student's folder.
        shape: "small" (half of the blocks), "tiny" (a quarter), or a number of blocks.
        classes: Classes for the figures and for `icl`, as `rsclip.segment` takes them; default:
            the bundled set of land cover.
        labels: A folder of labels for some of the images, paired by stem: the student does not
            learn from these, and the mean IoU is theirs.
        steps: Batches to learn from.
        batch: Windows of a batch.
        icl: Weight of interactive contrastive learning with the words of the classes.
        seed: Of the windows that are drawn.
        config: Settings; `config.DISTILL_OPTIONS` are those that count.
        progress: Called with (steps done, steps in all).
        **options: Fields of `SegmentConfig`.

    Raises:
        InputError: The teacher, the images, the labels or an option is wrong, or the output exists.
        RunError: A read or the write failed; nothing is left under the final name.
    """
    settings = _settings(config, options, teacher)
    _check_numbers(steps, batch, icl, seed)
    if labels is not None and classes is None:
        raise OptionError(
            "labels need classes to be read by", where="--labels", remedy="Give --classes."
        )
    read = ClassesRead.read(classes or _DEFAULT_CLASSES)
    paths = find_images(images)
    pairs = [] if labels is None else _pairs(paths, images, labels)
    files = find_model(settings.model, settings.weights)
    if files.architecture.blip is not None:
        raise ModelError(
            "a BLIP cannot be a teacher: students have the form of a CLIP",
            where=files.name,
            remedy="Choose a CLIP, such as ViT-B-16/openai.",
        )
    licence = describe_model(settings.model, settings.weights)["licence"]
    names = dict(_NAMES)
    if files.vocabulary is not None:
        names = {"vocabulary": "vocabulary.json", **names}
    folder = Path(output)
    inputs = [*paths, *files_read(None, settings)]
    with (
        gdal_env(),
        _telling_what_is_kept(Staging.work_of(folder, names) / _CHECKPOINT),
        Staging(folder, names, overwrite=settings.overwrite, inputs=inputs) as staging,
    ):
        backbone = load_backbone(settings.model, settings.weights)
        blocks = kept_blocks(str(shape), backbone.depth)
        opened = open_images(paths, settings, backbone.defaults)
        learned, held = hold_out(opened, {Path(pair.image) for pair in pairs})
        windows = windows_of(held, backbone.image_shape, _HELD_OUT_WINDOWS)
        model = load_model(read.legend, settings, backbone)
        whole = model.encoder
        assert isinstance(whole, Segmenter)
        student = build_student(backbone, blocks, folder.name)
        lesson = Lesson(
            settings.method,
            parse_options(settings.method, settings.method_option),
            whole.text_features.clone(),
        )
        plan = Settings(steps, batch, _RATE_TIMES_WIDTH / backbone.width, icl)
        record: dict[str, Any] = {
            "rsclip": __version__,
            "teacher": files.name,
            "teacher_sha256": backbone.weights_sha256,
            "folder": str(images),
            "files": [path.relative_to(expand(images)).as_posix() for path in paths],
            "method": settings.method,
            "settings": {name: settings.to_dict()[name] for name in DISTILL_OPTIONS},
            "blocks": blocks, "steps": steps, "batch": batch, "icl": icl, "seed": seed,
            "classes": read.legend.to_dict(),
        }  # fmt: skip

        def batches(some: range) -> Iterator[FloatArray]:
            return prefetch(draw_batches(learned, backbone.image_shape, batch, seed, some), 2)

        checkpoint = staging.work / _CHECKPOINT
        staging.work.mkdir(exist_ok=True)
        try:
            losses = train(
                student, backbone, lesson, batches, plan, checkpoint, _identity(record, paths),
                resume=settings.resume, progress=progress,
            )  # fmt: skip
        finally:
            staging.keep_work(checkpoint.exists())
        student.model.visual.requires_grad_(False)
        small = Segmenter(
            student, whole.text_features, method=lesson.method, options=lesson.options,
            device=settings.device,
        )  # fmt: skip
        write_record(staging.path("config"), student_config(files, len(blocks), licence))
        if files.vocabulary is not None:
            write_record(staging.path("vocabulary"), files.vocabulary)
        write_weights(student, files, staging.path("weights"))
        done = Distilled(
            folder, files.name, blocks, backbone.depth, len(learned), len(held), len(windows),
            agreement(model, small, read.legend, windows),
            mean_ious(pairs, read.legend, settings, staging.path("weights").parent)
            if pairs else {},
            relative_time(whole, small, windows),
            {"teacher": _megabytes(backbone), "student": _megabytes(student)},
            losses,
        )  # fmt: skip
        write_record(staging.path("report"), {**done.to_dict(), **record})
        staging.path("card").write_text(card(done, licence, record), encoding="utf-8")
        staging.publish()
    return done


@contextlib.contextmanager
def _telling_what_is_kept(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        if checkpoint.exists():
            error.add_note("What the student has learned is kept: --resume goes on from there.")
        raise


def _settings(
    config: SegmentConfig | None, options: Mapping[str, Any], teacher: str | Path
) -> SegmentConfig:
    merged = build_config({} if config is None else config.to_dict(), options).to_dict()
    return build_config({name: merged[name] for name in DISTILL_OPTIONS}, {"model": str(teacher)})


def _check_numbers(steps: int, batch: int, icl: float, seed: int) -> None:
    given = {"steps": (steps, 1), "batch": (batch, 1), "icl": (icl, 0), "seed": (seed, 0)}
    for name, (value, low) in given.items():
        if not value >= low:
            raise OptionError(
                f"{value} does not fit", where=f"--{name}", remedy=f"It is {low} or more."
            )


def _pairs(paths: Sequence[Path], images: str | Path, labels: str | Path) -> list[Pair]:
    """Return the images that have labels, with these."""
    if not Path(labels).is_dir():
        raise InputError("no such folder", where=labels, remedy="Name a folder of labels.")
    truth = by_stem(label_files(Path(labels)), labels)
    here = by_stem([path for path in paths if (path.stem,) in truth], images)
    if not here:
        raise InputError(
            f"no labels of any of the {len(paths)} images",
            where=labels,
            remedy="Labels have the stem of their image.",
        )
    return pair_up(here, {key: truth[key] for key in here}, str(images), str(labels))


def _identity(record: Mapping[str, Any], paths: Sequence[Path]) -> str:
    """Return a hash of all that decides the student."""
    ignored = ("overwrite", "resume", "device")
    settings = {key: value for key, value in record["settings"].items() if key not in ignored}
    sizes = [path.stat().st_size for path in paths]
    content = json.dumps([{**record, "settings": settings}, sizes], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _megabytes(backbone: Backbone) -> float:
    size = sum(each.numel() * each.element_size() for each in backbone.model.parameters())
    return float(round(size / 2**20, 2))
