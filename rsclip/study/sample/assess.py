"""`assess`: what a labelled sample says of a map: accuracy and areas, with their intervals."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import LegendError, SceneError, collect_warnings, warn
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.scene.gdal import guarded
from rsclip.scene.scene import gdal_env
from rsclip.scene.source import stem_of
from rsclip.study.evaluate.masks import Mask
from rsclip.study.sample.assessment import Assessment
from rsclip.study.sample.draw import DESIGN, SAMPLE, STRATA, THIN, stratify
from rsclip.study.sample.estimate import estimate
from rsclip.study.sample.report import write_areas, write_pages
from rsclip.study.truth_points import read_points
from rsclip.types import Window
from rsclip.words.legend import LegendSpec

__all__ = ["Assessment", "assess"]


def assess(
    mask: str | Path,
    points: str | Path,
    output_dir: str | Path | None = None,
    *,
    classes: LegendSpec | None = None,
    overwrite: bool = False,
) -> Assessment:
    """Estimate a map's accuracy and its classes' areas from labelled sample points.

    Args:
        mask: The map.
        points: What `sample` drew, labelled since; or other points with a column of labels: these
            are taken for a simple random sample, stratified by the map's classes afterwards.
        output_dir: Where `<stem>_areas_from_sample` goes as CSV, Markdown, HTML and JSON; None:
            nowhere.
        classes: The mask's classes, as `evaluate` takes them.
        overwrite: Replace outputs that exist.

    Raises:
        InputError: A file is wrong, no point is labelled, or points lie where the map has no data.
        RunError: A read or a write failed.
    """
    path = Path(points)
    with gdal_env(), collect_warnings() as said, Mask(mask, classes) as opened:
        values, rows, cols, order = read_points(path, opened, opened.legend)
        mapped = np.array(
            [
                opened.read(Window(int(row), int(col), 1, 1))[0, 0]
                for row, col in zip(rows, cols, strict=True)
            ],
            np.int64,
        )
        if (missing := int((mapped < 0).sum())) > 0:
            raise SceneError(
                f"{missing} points lie where the map has no data", where=path,
                remedy="Give the map that the sample was drawn from.",
            )  # fmt: skip
        blank = values < 0
        if blank.any():
            warn(
                f"{path}: {int(blank.sum())} of {len(values)} points have no label yet: what is "
                "said holds if they are blank by chance alone"
            )
        index, names, pixels, weights, hectares = _strata(path, opened, mapped, order, blank)
        index, mapped, reference = (
            each[~blank].astype(np.int64) for each in (index, mapped, values)
        )
        units = np.bincount(index, minlength=len(names))
        _check_units(path, names, units, pixels)
        count = len(opened.legend.names)
        counts = np.zeros((count, count), np.int64)
        np.add.at(counts, (mapped, reference), 1)
        found = Assessment(
            str(mask), str(points), opened.legend, counts,
            estimate(index, mapped, reference, weights, count), hectares,
            dict(zip(names, units.tolist(), strict=True)), list(said),
        )  # fmt: skip
    if output_dir is None:
        return found
    stem = stem_of(mask).removesuffix("_mask")
    files = {key: f"{stem}_areas_from_sample.{end}" for key, end in _ENDINGS.items()}
    with Staging(output_dir, files, overwrite=overwrite, inputs=[mask, points]) as staging:
        write_areas(staging.path("areas"), found)
        write_pages(staging.path("markdown"), staging.path("page"), found)
        write_record(staging.path("record"), found.to_dict())
        return replace(found, paths=staging.publish())


_LEAST = 2
"""Labelled points of a stratum that its variance needs."""

_ENDINGS = {"areas": "csv", "markdown": "md", "page": "html", "record": "json"}


def _strata(
    path: Path,
    mask: Mask,
    mapped: NDArray[np.int64],
    order: NDArray[np.int64],
    blank: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], list[str], NDArray[np.float64], NDArray[np.float64], float | None]:
    """Return each point's stratum, the strata's names, pixels and shares, and the hectares."""
    import pyogrio

    with guarded(path, SceneError, what="the sample cannot be read"):
        layers = {str(name) for name, _ in pyogrio.list_layers(path)}
        drawn = {SAMPLE, DESIGN, STRATA} <= layers
        if drawn:
            design = pyogrio.read_dataframe(path, layer=DESIGN)
            table = pyogrio.read_dataframe(path, layer=STRATA)
    if not drawn:
        strata = stratify(mask)
        position = {item.value: at for at, item in enumerate(strata)}
        index = np.array([position[int(value)] for value in mapped], np.int64)
        names = [item.name for item in strata]
        pixels = np.array([item.pixels for item in strata], float)
        ground = [item.hectares for item in strata]
        labelled = np.bincount(index[~blank], minlength=len(names))
        text = f"{path}: taken for a simple random sample, "
        if (labelled < _LEAST).any():
            few = ", ".join(names[at] for at in np.flatnonzero(labelled < _LEAST))
            warn(f"{text}not stratified: fewer than two labelled points lie in {few}")
            index, names, pixels = (
                np.zeros_like(index),
                ["the whole map"],
                pixels.sum(keepdims=True),
            )
            ground = [None if None in ground else math.fsum(filter(None, ground))]
        else:
            warn(f"{text}stratified by the map's classes")
    else:
        names = [str(name) for name in table["stratum"]]
        own = dict(zip(design["point"], design["stratum"], strict=True))
        known = dict(zip(design["point"], design["map_class"], strict=True))
        if any(number not in own for number in order.tolist()):
            raise SceneError(
                "points were added since the sample was drawn", where=path,
                remedy="Take them out: where they lie was not left to chance.",
            )  # fmt: skip
        index = np.array([names.index(own[number]) for number in order.tolist()], np.int64)
        now = [mask.legend.names[int(value)] for value in mapped]
        if any(known[number] != name for number, name in zip(order.tolist(), now, strict=True)):
            warn(f"{path}: the sample was drawn from another map: what is said holds, but widely")
        pixels = table["pixels"].to_numpy(float)
        ground = [
            None if value != value else float(value) for value in table["hectares"].astype(float)
        ]
    known_ground = [value for value in ground if value is not None]
    if len(known_ground) < len(ground):
        return index, names, pixels, pixels / pixels.sum(), None
    total = math.fsum(known_ground)
    return index, names, pixels, np.array(known_ground) / total, total


def _check_units(
    path: Path, names: list[str], units: NDArray[np.int64], pixels: NDArray[np.float64]
) -> None:
    few = [names[at] for at in np.flatnonzero(units < np.minimum(pixels, _LEAST))]
    if few:
        raise LegendError(
            f"fewer than two points are labelled in {', '.join(few)}: no interval can be given",
            where=path,
            remedy="Label more of its points, or draw a larger sample.",
        )
    thin = [
        f"{name} ({count})"
        for name, count in zip(names, units.tolist(), strict=True)
        if count < THIN
    ]
    if thin:
        warn(
            f"{path}: few labelled points in {', '.join(thin)}: the intervals say little of them; "
            f"{THIN} or more are needed"
        )
