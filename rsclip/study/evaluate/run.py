"""`evaluate`: a mask of any tool against labels, strip by strip."""

import contextlib
import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from rsclip.errors import AreaError, OptionError, SceneError, collect_warnings, warn
from rsclip.files import parse_yaml, read_rows, read_text
from rsclip.geo.measure import Measure
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.scene.aoi import Aoi, read_aoi
from rsclip.scene.scene import gdal_env
from rsclip.scene.source import stem_of
from rsclip.study.evaluate.boundaries import Boundaries
from rsclip.study.evaluate.error_map import ErrorMap
from rsclip.study.evaluate.intervals import LEAST_BLOCKS, Blocks, intervals
from rsclip.study.evaluate.masks import Mask
from rsclip.study.evaluate.report import write_page
from rsclip.study.evaluate.result import Evaluation, Reliability
from rsclip.study.evaluate.tables import draw_confusion, write_markdown, write_scores
from rsclip.study.truth import Labels, open_labels
from rsclip.study.truth_classes import names_nothing
from rsclip.types import Window
from rsclip.words.legend import Legend, LegendSpec

__all__ = ["evaluate", "read_mapping"]

BOUNDARY = "2"
"""Tolerance of outlines, pixels."""

# Pixels of a strip.
_PIXELS = 1 << 20
_OTHERS = frozenset(("other", "others", "clutter"))
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(px|m)?\s*")


def evaluate(
    mask: str | Path,
    labels: str | Path,
    output_dir: str | Path | None = None,
    *,
    classes: LegendSpec | None = None,
    mapping: str | Path | Mapping[str, str | None] | None = None,
    ignore: Collection[str | int] = (),
    aoi: str | None = None,
    confidence: str | Path | None = None,
    boundary: str | float | None = BOUNDARY,
    block: int | None = None,
    overwrite: bool = False,
) -> Evaluation:
    """Score a mask of any tool against labels; memory does not grow with the mask.

    Labels are brought to the mask's grid (nearest pixel), and that is said. Labels of none of the
    mask's classes count as unclassified (0); what the mask says there of classes that the labels
    do not have counts as right. Pixels without a label or without data in the mask do not count.

    Args:
        mask: One band of class values, from rsclip or any other tool.
        labels: A raster of class values, polygons or points, as `rsclip compare` takes them.
        output_dir: Where tables, pictures, the error map and the page go; None: nowhere.
        classes: The mask's classes 1..N, as `rsclip.segment` takes them; None: as the mask says.
        mapping: Value or name of a label -> class of the mask, "other" or None (ignored); or a
            YAML or CSV file of such pairs. Labels outside it are refused.
        ignore: Values and names of labels that do not count.
        aoi: An area, as `SegmentConfig.aoi`: only pixels in it count.
        confidence: The mask's confidence raster (whole percent), for the calibration error.
        boundary: Tolerance of outlines: pixels ("2") or metres ("1.5m"); None: no boundary F1.
        block: Side in pixels of the blocks that intervals are drawn from.
        overwrite: Replace outputs that exist.

    Raises:
        InputError: A file or an option is wrong, labels do not overlap the mask, have no class
            in common with it, or are all ignored.
        RunError: A read or a write failed; nothing is left under a final name.
    """
    if isinstance(mapping, str | Path):
        mapping = read_mapping(Path(mapping))
    if block is not None and block < 1:
        raise OptionError(f"{block} is no side of a block", where="--block", remedy="Give pixels.")
    with gdal_env(), contextlib.ExitStack() as stack:
        said = stack.enter_context(collect_warnings())
        opened = stack.enter_context(Mask(mask, classes, confidence))
        tolerance = None if boundary is None else _tolerance(boundary, opened)
        area = None if aoi is None else read_aoi(aoi, opened.crs, opened.transform, opened.shape)
        truth = stack.enter_context(
            open_labels(
                labels,
                opened,
                opened.legend,
                mapping=mapping,
                ignore=[str(item) for item in ignore],
                points=True,
            )
        )
        staging = None
        if output_dir is not None:
            inputs = [path for path in (mask, labels, confidence) if path is not None]
            names = _names(stem_of(mask).removesuffix("_mask"))
            staging = Staging(output_dir, names, overwrite=overwrite, inputs=inputs)
            stack.enter_context(staging)
        count = _Count(opened, truth, area, tolerance, block, confidence is not None)
        if staging is None:
            count.run(None)
            return count.result(str(labels), said)
        with ErrorMap(staging, opened) as error_map:
            count.run(error_map)
            error_map.finish()
        found = count.result(str(labels), said)
        write_scores(staging.path("scores"), found)
        write_markdown(staging.path("markdown"), found)
        draw_confusion(staging.path("confusion"), found)
        write_page(staging.path("page"), found, error_map.picture())
        write_record(staging.path("record"), found.to_dict())
        return dataclasses.replace(found, paths=staging.publish())


def read_mapping(path: Path) -> dict[str, str | None]:
    """Read pairs of a label and a class: a YAML mapping, or CSV of two columns.

    Raises:
        OptionError: The file is missing or is neither.
    """
    text = read_text(path, "mapping", OptionError)
    remedy = 'Write pairs of a label and a class, such as "2: road" in YAML, or "2,road" in CSV.'
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        content = parse_yaml(text, path, OptionError)
        if not isinstance(content, dict) or not content:
            raise OptionError("no pairs of a label and a class", where=path, remedy=remedy)
        pairs = {str(key): None if name is None else str(name) for key, name in content.items()}
    else:
        rows = [cells for _, cells in read_rows(text, path, OptionError)]
        if not rows or any(len(cells) != 2 for cells in rows):
            raise OptionError("not two columns", where=path, remedy=remedy)
        head = [cell.casefold() for cell in rows[0]]
        pairs = {key: name or None for key, name in rows[head == ["label", "class"] :]}
    return pairs


class _Count:
    """One pass over a mask and its labels."""

    def __init__(
        self,
        mask: Mask,
        truth: Labels,
        area: Aoi | None,
        tolerance: float | None,
        block: int | None,
        confident: bool,
    ) -> None:
        count = len(mask.legend.names)
        self._mask, self._truth, self._area = mask, truth, area
        self._blocks = Blocks(mask.shape, count, block)
        self._boundaries = None
        if tolerance is not None and not truth.sparse:
            self._boundaries = Boundaries(count, tolerance)
        self._reliability = Reliability() if confident else None
        self._lacking = sorted({*mask.legend.names} - {0, *truth.classes})
        self._unmapped = 0

    def run(self, error_map: ErrorMap | None) -> None:
        """Read all rows once (their halo for outlines twice)."""
        height, width = self._mask.shape
        step = max(_PIXELS // width, 1)
        halo = self._boundaries.halo if self._boundaries else 0
        # Strips end where blocks end.
        tops = sorted({*range(0, height, self._blocks.side)} | {
            top for block in range(0, height, self._blocks.side)
            for top in range(block, min(block + self._blocks.side, height), step)
        })  # fmt: skip
        for top, stop in zip(tops, [*tops[1:], height], strict=True):
            first, last = max(top - halo, 0), min(stop + halo, height)
            window = Window(first, 0, last - first, width)
            core = slice(top - first, stop - first)
            truth, predicted = self._read(window)
            self._add(top, truth[core], predicted[core], Window(top, 0, stop - top, width))
            if self._boundaries is not None:
                self._boundaries.add(truth, predicted, core)
            if error_map is not None:
                error_map.write(top, truth[core], predicted[core])

    def _read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        truth, predicted = self._truth.read(window), self._mask.read(window)
        if self._area is not None:
            truth[~self._area.mask(window)] = -1
        # Of classes that the labels do not have, they cannot say that they are wrong.
        predicted[(truth == 0) & np.isin(predicted, self._lacking)] = 0
        return truth, predicted

    def _add(self, top: int, truth: np.ndarray, predicted: np.ndarray, window: Window) -> None:
        self._blocks.add(top, truth, predicted)
        self._unmapped += int(((truth >= 0) & (predicted < 0)).sum())
        if self._reliability is not None:
            percent = self._mask.confidence(window)
            at = (truth >= 0) & (predicted > 0) & (percent <= 100)
            self._reliability.add(percent[at], (truth == predicted)[at])

    def result(self, labels: str, said: list[str]) -> Evaluation:
        """Return what was found.

        Raises:
            SceneError: No pixel counts.
        """
        legend, total = self._mask.legend, self._blocks.total
        if not total.matrix.sum():
            self._refuse(labels)
        if self._lacking and total.matrix[0].any():
            names = ", ".join(legend.names[value] for value in self._lacking)
            warn(
                f"the labels have no {names}: where they say that a pixel is none of their "
                "classes, that is not counted as wrong"
            )
        if self._unmapped:
            warn(f"{self._unmapped} labelled pixels have no data in the map: they do not count")
        other = catch_all(legend)
        blocks = self._blocks.filled
        overall, classes = intervals(blocks, other)
        if not overall:
            warn(
                f"labels lie in {len(blocks)} blocks of {self._blocks.side} pixels: intervals need "
                f"{LEAST_BLOCKS}; a smaller --block gives more"
            )
        return Evaluation(
            str(self._mask.path), labels, legend, total, other, self._boundaries,
            self._reliability, (len(blocks), self._blocks.side), overall, classes,
            self._unmapped, list(said),
        )  # fmt: skip

    def _refuse(self, labels: str) -> None:
        if self._unmapped:
            raise SceneError(
                f"all {self._unmapped} labelled pixels lie where the map has no data",
                where=labels,
                remedy="Check that labels and map belong together.",
            )
        if self._area is not None:
            raise AreaError("no label lies in the area", where="--aoi", remedy="Give another one.")
        raise SceneError("no labelled pixel", where=labels, remedy="Check their CRS and place.")


def catch_all(legend: Legend) -> tuple[int, ...]:
    """Return the legend values that stand for everything else."""
    named = [
        item.value
        for item in legend.foreground
        if names_nothing(item.name) or item.name.casefold() in _OTHERS
    ]
    return (0, *named)


def _tolerance(boundary: str | float, mask: Mask) -> float:
    """Return a tolerance in pixels."""
    found = _LENGTH.fullmatch(str(boundary))
    if found is None or float(found[1]) <= 0:
        raise OptionError(
            f"{boundary!r} is no distance",
            where="--boundary",
            remedy="Give pixels, as in 2, or metres, as in 1.5m.",
        )
    value = float(found[1])
    if found[2] == "m":
        measure = Measure(mask.crs, mask.transform, mask.shape)
        if not measure.on_ground:
            raise OptionError(
                "metres are unknown: the mask has no CRS", where="--boundary", remedy="Give pixels."
            )
        # The scale of a projection must not turn two pixels into 1.999.
        value = round(value / measure.pixel_side(), 2)
    if value > _FARTHEST:
        raise OptionError(
            f"{boundary} are {value:.0f} pixels",
            where="--boundary",
            remedy=f"Give {_FARTHEST} pixels at most.",
        )
    return value


_FARTHEST = 100


def _names(stem: str) -> dict[str, str]:
    """Return the file names of all outputs, the record last."""
    return {
        "errors": f"{stem}_errors.tif",
        "errors_style": f"{stem}_errors.qml",
        "scores": f"{stem}_evaluation_classes.csv",
        "markdown": f"{stem}_evaluation.md",
        "confusion": f"{stem}_confusion.png",
        "page": f"{stem}_evaluation.html",
        "record": f"{stem}_evaluation.json",
    }
