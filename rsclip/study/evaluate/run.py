"""`evaluate`: masks of any tool against labels."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from rsclip.errors import InputError, OptionError, RsclipWarning, collect_warnings, warn
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.scene.gdal import GDAL_ERRORS, open_dataset, reason
from rsclip.scene.scene import gdal_env
from rsclip.scene.source import open_error, stem_of
from rsclip.study.evaluate.error_map import ErrorMap
from rsclip.study.evaluate.image_log import ImageLog
from rsclip.study.evaluate.masks import Mask
from rsclip.study.evaluate.report import write_page
from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.scoring import BOUNDARY, Counting, Scoring
from rsclip.study.evaluate.set_report import write_set
from rsclip.study.evaluate.tables import draw_confusion, write_markdown, write_scores
from rsclip.study.evaluate.tally import Part, Tally
from rsclip.study.pairs import Pair, find_pairs
from rsclip.vectors.class_names import names_of
from rsclip.words.legend import LegendSpec

__all__ = [
    "check_mask_outputs", "evaluate", "evaluate_mask", "evaluate_pairs", "holds_scenes",
    "refuse_mask",
]  # fmt: skip

_SHOWN = 6
Progress = Callable[[int, int], None]
MakeMask = Callable[[Pair, Path], tuple[Path, Path | None]]


def evaluate(
    mask: str | Path,
    labels: str | Path,
    output_dir: str | Path | None = None,
    *,
    classes: LegendSpec | None = None,
    mapping: str | Path | Mapping[str, str | None] | None = None,
    ignore: Collection[str | int] = (),
    aoi: str | Path | None = None,
    confidence: str | Path | None = None,
    boundary: str | float | None = BOUNDARY,
    block: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a mask of any tool against labels, or many masks; memory does not grow with a mask.

    Labels are brought to the mask's grid (nearest pixel), and that is said. Labels of none of the
    mask's classes count as unclassified (0); what the mask says there of classes that the labels
    do not have counts as right. Pixels without a label or without data in the mask do not count.

    Args:
        mask: One band of class values, from rsclip or any other tool; or a folder or a pattern
            (masks/*.tif) of such files, which are scored together.
        labels: A raster of class values or colours, polygons or points, as `rsclip compare` takes
            them; of many masks a folder or a pattern, with one file for each.
        output_dir: Where tables, pictures, the error map and the page go; None: nowhere.
        classes: The mask's classes 1..N, as `rsclip.segment` takes them; None: as the mask says.
        mapping: Value, colour ("#ff0000") or name of a label -> class of the mask, "other" or None
            (ignored); or a YAML or CSV file of such pairs. Labels outside it are refused.
        ignore: Values and names of labels that do not count.
        aoi: An area, as `SegmentConfig.aoi`: only pixels in it count.
        confidence: The mask's confidence raster (whole percent), for the calibration error.
        boundary: Tolerance of outlines: pixels ("2") or metres ("1.5m"); None: no boundary F1.
        block: Side in pixels of the blocks that intervals are drawn from.
        overwrite: Replace outputs that exist.
        resume: Of many masks: go on where a killed run stopped.
        progress: Of many masks: called with (masks done, masks in all).

    Raises:
        InputError: A file or an option is wrong, labels do not overlap the mask, have no class
            in common with it, or are all ignored; masks and labels do not pair up.
        RunError: A read or a write failed; nothing is left under a final name.
    """
    scoring = Scoring.read(mapping=mapping, ignore=ignore, aoi=aoi, boundary=boundary, block=block)
    pairs = find_pairs(mask, labels)
    if len(pairs) == 1 and str(mask) == pairs[0].image:
        return evaluate_mask(
            mask, labels, output_dir, scoring, classes=classes, confidence=confidence,
            overwrite=overwrite,
        )  # fmt: skip
    if confidence is not None:
        raise OptionError("it is for one mask, not for many", where="--confidence")
    inputs = [each for pair in pairs for each in (pair.image, pair.labels)]
    request = {"masks": True, "classes": repr(classes), "scoring": scoring}
    log = ImageLog(output_dir, request, inputs, resume=resume, overwrite=overwrite)
    found = evaluate_pairs(
        pairs, lambda pair, _: (Path(pair.image), None), scoring, log, classes=classes,
        progress=progress,
    )  # fmt: skip
    found = dataclasses.replace(found, mask=str(mask), labels=str(labels))
    if output_dir is None:
        return found
    paths = write_set(output_dir, "", [], [([], found)], {}, inputs, overwrite=log.overwrite)
    return dataclasses.replace(found, paths=paths)


def holds_scenes(images: str | Path, labels: str | Path) -> bool:
    """Say whether a file, or the first of a folder or a pattern, is an image: of several bands.

    Raises:
        InputError: It cannot be opened, or images and labels do not pair up.
    """
    image = find_pairs(images, labels)[0].image
    try:
        with gdal_env(), open_dataset(image) as dataset:
            return bool(dataset.count > 1)
    except GDAL_ERRORS as error:
        raise open_error(image, reason(error)) from error


def refuse_mask(images: str | Path, labels: str | Path, options: Collection[str] = ()) -> None:
    """Refuse a mask that is given in place of a scene; say where one band is taken for a scene.

    Args:
        images: A file, a folder or a pattern: the first file is looked at.
        labels: As `holds_scenes` takes them.
        options: What was asked for of scenes, for the message.

    Raises:
        InputError: The raster names the classes of its values; or as `holds_scenes`.
    """
    image = find_pairs(images, labels)[0].image
    try:
        with gdal_env(), open_dataset(image) as dataset:
            if dataset.count > 1:
                return
            names = [name for name in names_of(dataset).values() if name]
    except GDAL_ERRORS as error:
        raise open_error(image, reason(error)) from error
    said = ", ".join(options)
    if names:
        more = ", ..." if len(names) > _SHOWN else ""
        raise InputError(
            f"it is a mask (its classes are {', '.join(names[:_SHOWN])}{more}), and masks are not "
            "segmented",
            where=image,
            remedy=f"Leave out {said}, or name the scene itself." if said else "Name the scene.",
        )
    if said and "--bidx" not in options:
        warn(f"{image}: its one band is taken for an image and segmented, because of {said}")


def evaluate_mask(
    mask: str | Path,
    labels: str | Path,
    output_dir: str | Path | None,
    scoring: Scoring,
    *,
    classes: LegendSpec | None = None,
    confidence: str | Path | None = None,
    overwrite: bool = False,
    placed: bool = True,
    name: str | None = None,
    made: Mapping[str, Any] = MappingProxyType({}),
) -> Evaluation:
    """Score one mask; errors and arguments as `evaluate` has them.

    Args:
        mask: The mask.
        labels: Its labels.
        output_dir: Where all outputs go, or None.
        scoring: How they are compared.
        classes: As `evaluate` takes them.
        confidence: As `evaluate` takes it.
        overwrite: As `evaluate` takes it.
        placed: The mask lies where its CRS says; else labels are read pixel by pixel.
        name: What the mask is called, in place of its path.
        made: How the mask was made, for the record.
    """
    inputs = [path for path in (mask, labels, confidence) if path is not None]
    stem = name or mask
    if output_dir is not None:
        check_mask_outputs(output_dir, stem, inputs, overwrite=overwrite)
    with gdal_env(), contextlib.ExitStack() as stack:
        said = stack.enter_context(collect_warnings())
        opened = stack.enter_context(Mask(mask, classes, confidence))
        if not placed:
            opened.crs = None
        confident = confidence is not None
        count = stack.enter_context(Counting(opened, labels, scoring, confident=confident))
        if output_dir is None:
            count.run()
            return _named(count.result(said), name, made)
        staging = stack.enter_context(
            Staging(output_dir, _names(stem), overwrite=overwrite, inputs=inputs)
        )
        with ErrorMap(staging, opened) as error_map:
            count.run(error_map.write)
            error_map.finish()
        found = _named(count.result(said), name, made)
        write_scores(staging.path("scores"), [], [([], found)])
        write_markdown(staging.path("markdown"), found)
        draw_confusion(staging.path("confusion"), found)
        write_page(staging.path("page"), found, error_map.picture())
        write_record(staging.path("record"), found.to_dict())
        return dataclasses.replace(found, paths=staging.publish())


def check_mask_outputs(
    folder: str | Path, mask: str | Path, inputs: Collection[str | Path], *, overwrite: bool
) -> None:
    """Refuse what is in the way of one mask's outputs, before any work.

    Raises:
        OutputError: One exists and may not be replaced, or is an input.
    """
    Staging.check(Path(folder), _names(mask), overwrite=overwrite, inputs=inputs)


def _named(found: Evaluation, name: str | None, made: Mapping[str, Any]) -> Evaluation:
    settings = {**found.settings, **made}
    return dataclasses.replace(found, mask=name or found.mask, settings=settings)


def evaluate_pairs(
    pairs: Collection[Pair],
    make: MakeMask,
    scoring: Scoring,
    log: ImageLog,
    *,
    classes: LegendSpec | None = None,
    placed: bool = True,
    progress: Progress | None = None,
    trial: int = 0,
) -> Evaluation:
    """Score the masks of many images together.

    Args:
        pairs: Images and labels.
        make: Gives an image's mask and its confidence or None, made in a folder that is gone
            afterwards, or at hand.
        scoring: How masks are compared with labels.
        log: Knows the images that are done, and is told of each.
        classes: The masks' classes, as `evaluate` takes them.
        placed: As `evaluate_mask` takes it.
        progress: Called with (images done, images in all).
        trial: Number of the settings that make the masks.

    Raises:
        InputError: As `evaluate`; no image has a labelled pixel of a class.
        RunError: A read or a write failed.
    """
    tally = Tally(len(pairs))
    scoring = dataclasses.replace(scoring, part=True)
    for done, pair in enumerate(pairs, 1):
        part = log.find(trial, pair)
        if part is None:
            part = _one(pair, make, scoring, classes, placed)
            log.add(trial, pair, part)
        tally.add(part)
        if progress is not None:
            progress(done, len(pairs))
    return dataclasses.replace(tally.result(), settings={"scoring": scoring.to_dict()})


def _one(
    pair: Pair, make: MakeMask, scoring: Scoring, classes: LegendSpec | None, placed: bool
) -> Part:
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(collect_warnings())
        # What is said of many images is said once, in the end.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", RsclipWarning)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        mask, confidence = make(pair, folder)
        found = evaluate_mask(
            mask, pair.labels, None, scoring, classes=classes, confidence=confidence,
            placed=placed, name=pair.image,
        )  # fmt: skip
    places = (pair.image, str(pair.labels), str(mask), str(folder))
    return Part.of(found, [(_without(places, text), text) for text in said])


def _without(places: Collection[str], text: str) -> str:
    """Return a warning without the file that it begins with."""
    head, colon, rest = text.partition(": ")
    return rest if colon and head.startswith(tuple(places)) else text


def _names(mask: str | Path) -> dict[str, str]:
    """Return the file names of all outputs, the record last."""
    stem = stem_of(mask).removesuffix("_mask")
    return {
        "errors": f"{stem}_errors.tif",
        "errors_style": f"{stem}_errors.qml",
        "scores": f"{stem}_evaluation_classes.csv",
        "markdown": f"{stem}_evaluation.md",
        "confusion": f"{stem}_confusion.png",
        "page": f"{stem}_evaluation.html",
        "record": f"{stem}_evaluation.json",
    }
