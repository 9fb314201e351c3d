"""One mask against its labels: counted in one pass, strip by strip."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import AreaError, OptionError, SceneError, warn
from rsclip.files import parse_yaml, read_rows, read_text
from rsclip.geo.measure import Measure
from rsclip.scene.aoi import read_aoi
from rsclip.study.evaluate.boundaries import Boundaries
from rsclip.study.evaluate.intervals import LEAST_UNITS, Blocks, intervals
from rsclip.study.evaluate.masks import Mask, MaskOutline
from rsclip.study.evaluate.result import Evaluation, Reliability
from rsclip.study.truth import open_labels
from rsclip.study.truth_classes import as_labels_tell, catch_all
from rsclip.study.truth_grids import Labels
from rsclip.types import Window

__all__ = ["BOUNDARY", "Counting", "Scoring", "read_mapping"]

BOUNDARY = "2"
"""Tolerance of outlines, pixels."""

# Pixels of a strip.
_PIXELS = 1 << 19
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(px|m)?\s*")
_FARTHEST = 100

Values = NDArray[np.int32]
Strips = Callable[[int, Values, Values], None]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How masks are compared with labels.

    Attributes:
        mapping: As `LabelClasses` takes it.
        ignore: As `LabelClasses` takes it.
        aoi: Only pixels in this area count.
        boundary: Tolerance of outlines, pixels ("2") or metres ("1.5m"); None: none are counted.
        block: Side in pixels of the blocks that intervals are drawn from, or None.
        part: As `open_labels` takes it.
        other: As `open_labels` takes it.
    """

    mapping: Mapping[str, str | None] | None = None
    ignore: tuple[str, ...] = ()
    aoi: str | None = None
    boundary: str | float | None = BOUNDARY
    block: int | None = None
    part: bool = False
    other: int = 0

    @classmethod
    def read(
        cls,
        *,
        mapping: str | Path | Mapping[str, str | None] | None = None,
        ignore: Collection[str | int] = (),
        aoi: str | Path | None = None,
        boundary: str | float | None = BOUNDARY,
        block: int | None = None,
    ) -> Self:
        """Check what a user gives.

        Raises:
            OptionError: A value is wrong, or the file of the mapping.
        """
        if isinstance(mapping, str | Path):
            mapping = read_mapping(Path(mapping))
        if block is not None and block < 1:
            raise OptionError(
                f"{block} is no side of a block", where="--block", remedy="Give pixels."
            )
        if boundary is not None and not _read_length(boundary)[0]:
            boundary = None
        area = None if aoi is None else str(aoi)
        return cls(mapping, tuple(map(str, ignore)), area, boundary, block)

    def to_dict(self) -> dict[str, Any]:
        """Return what a user may set, in plain values."""
        asked = ("mapping", "ignore", "aoi", "boundary", "block")
        return {name: getattr(self, name) for name in asked}


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
        return {str(key): None if name is None else str(name) for key, name in content.items()}
    rows = [cells for _, cells in read_rows(text, path, OptionError)]
    if not rows or any(len(cells) != 2 for cells in rows):
        raise OptionError("not two columns", where=path, remedy=remedy)
    head = [cell.casefold() for cell in rows[0]]
    return {key: name or None for key, name in rows[head == ["label", "class"] :]}


class Counting:
    """One pass over a mask and its labels. A context manager.

    Args:
        mask: Open; until `run` its grid and legend are enough.
        labels: Their file.
        scoring: How they are compared.
        confident: Count how often pixels of a confidence are right.

    Raises:
        InputError: Labels, area or tolerance do not fit the mask.
    """

    def __init__(
        self,
        mask: Mask | MaskOutline,
        labels: str | Path,
        scoring: Scoring,
        *,
        confident: bool = False,
    ) -> None:
        legend, self._mask, self._labels = mask.legend, cast(Mask, mask), labels
        tolerance = None if scoring.boundary is None else _tolerance(scoring.boundary, mask)
        self._area = None
        if scoring.aoi is not None:
            self._area = read_aoi(scoring.aoi, mask.crs, mask.transform, mask.shape)
        self._truth: Labels = open_labels(
            labels, mask, legend, mapping=scoring.mapping, ignore=scoring.ignore, points=True,
            part=scoring.part, other=scoring.other,
        )  # fmt: skip
        self._scoring, self._part = scoring, scoring.part
        count = len(legend.names)
        self._blocks = Blocks(mask.shape, count, scoring.block)
        self._boundaries = None
        if tolerance is not None and not self._truth.sparse:
            self._boundaries = Boundaries(count, tolerance)
        self._reliability = Reliability() if confident else None
        self._lacking = sorted({*legend.names} - {0, *self._truth.classes})
        self._unmapped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._truth.close()

    def run(self, write: Strips | None = None) -> None:
        """Read all rows once (their halo for outlines twice).

        Args:
            write: Called with the first row of each strip, its truth, and what the map has there.

        Raises:
            ReadError: Pixels cannot be read.
        """
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
            core = slice(top - first, stop - first)
            truth, predicted = self._read(Window(first, 0, last - first, width))
            self._add(top, truth[core], predicted[core], Window(top, 0, stop - top, width))
            if self._boundaries is not None:
                self._boundaries.add(truth, predicted, core)
            if write is not None:
                write(top, truth[core], predicted[core])

    def _read(self, window: Window) -> tuple[Values, Values]:
        truth, predicted = self._truth.read(window), self._mask.read(window)
        if self._area is not None:
            truth[~self._area.mask(window)] = -1
        return truth, as_labels_tell(truth, predicted, self._lacking)

    def _add(self, top: int, truth: Values, predicted: Values, window: Window) -> None:
        self._blocks.add(top, truth, predicted)
        self._unmapped += int(((truth >= 0) & (predicted < 0)).sum())
        if self._reliability is not None:
            percent = self._mask.confidence(window)
            at = (truth >= 0) & (predicted > 0) & (percent <= 100)
            self._reliability.add(percent[at], (truth == predicted)[at])

    def result(self, said: list[str]) -> Evaluation:
        """Return what was found; `said` is what was warned of until then.

        Raises:
            SceneError: No pixel counts.
        """
        legend, total = self._mask.legend, self._blocks.total
        if not (self._part or total.matrix.any()):
            self._refuse()
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
        if not (self._part or overall):
            warn(
                f"labels lie in {len(blocks)} of the blocks of {self._blocks.side} pixels: "
                f"intervals need {LEAST_UNITS}; a smaller --block gives more"
            )
        return Evaluation(
            str(self._mask.path), str(self._labels), legend, total, other, self._boundaries,
            self._reliability, (len(blocks), self._blocks.side), overall, classes,
            self._unmapped, list(said), settings={"scoring": self._scoring.to_dict()},
        )  # fmt: skip

    def _refuse(self) -> None:
        if self._unmapped:
            raise SceneError(
                f"all {self._unmapped} labelled pixels lie where the map has no data",
                where=self._labels,
                remedy="Check that labels and map belong together.",
            )
        if self._area is not None:
            raise AreaError("no label lies in the area", where="--aoi", remedy="Give another one.")
        raise SceneError(
            "no labelled pixel", where=self._labels, remedy="Check their CRS and place."
        )


def _tolerance(boundary: str | float, mask: Mask | MaskOutline) -> float:
    """Return a tolerance in pixels."""
    value, unit = _read_length(boundary)
    if unit == "m":
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


def _read_length(boundary: str | float) -> tuple[float, str | None]:
    found = _LENGTH.fullmatch(str(boundary))
    if found is None:
        raise OptionError(
            f"{boundary!r} is no distance",
            where="--boundary",
            remedy="Give pixels, as in 2, or metres, as in 1.5m; 0: outlines are not counted.",
        )
    return float(found[1]), found[2]
