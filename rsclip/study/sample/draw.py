"""`sample`: a stratified random sample of a mask's pixels, as a GeoPackage with a form for QGIS."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import OptionError, OutputError, SceneError, warn
from rsclip.geo.area import GroundArea
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.polygons.formats import check_length
from rsclip.outputs.polygons.frame_crs import FrameCRS
from rsclip.outputs.polygons.gpkg_style import embed_qml
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.scene.scene import gdal_env
from rsclip.scene.source import stem_of
from rsclip.study.evaluate.masks import Mask
from rsclip.study.label_form import form_qml
from rsclip.study.sample.estimate import allocate, half_width, sample_size
from rsclip.types import Window
from rsclip.words.legend import LegendSpec

__all__ = ["DESIGN", "SAMPLE", "STRATA", "Stratum", "plan_sample", "sample", "stratify"]

SAMPLE, DESIGN, STRATA = "sample", "design", "strata"
"""Layers of the file: what the interpreter sees, what he must not see, and the strata."""

By = Literal["class", "confidence"]

# Percent at which a stratum of confidence begins, and its name.
_CONFIDENCE = ((0, "confidence below 50 %"), (50, "confidence 50 to 79 %"),
               (80, "confidence 80 % and more"))  # fmt: skip
_PIXELS = 1 << 21
_SQUARE_METRES = 10_000


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the map that units are drawn from.

    Attributes:
        value: Legend value of its class, or the percent at which its confidence begins.
        name: Its class, or its range of confidence.
        pixels: Its pixels.
        hectares: Their ground; None where the map has no place on Earth.
    """

    value: int
    name: str
    pixels: int
    hectares: float | None


def sample(
    mask: str | Path,
    count: int,
    output: str | Path | None = None,
    *,
    strata: By = "class",
    seed: int = 0,
    classes: LegendSpec | None = None,
    confidence: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw pixels of a mask at random, stratum by stratum, for a person to label.

    The layer `sample` has blank labels and nothing that tells the map's class; opened in QGIS its
    form offers the classes as a list. Layers `design` and `strata` hold what `assess` needs.

    Args:
        mask: As `evaluate` takes it.
        count: Points in all: each stratum gets 50 where there is room, the rest goes by area.
        output: A file ending in .gpkg [default: <stem>_sample.gpkg in this folder].
        strata: "class", or "confidence" (below 50, 50 to 79, 80 percent and more).
        seed: The same seed draws the same points.
        classes: As `evaluate` takes them.
        confidence: The mask's confidence raster, for strata of confidence.
        overwrite: Replace a file that exists.

    Returns:
        The path of the file.

    Raises:
        InputError: The mask or an option is wrong, or the file exists.
        RunError: A read or a write failed; nothing is left under the final name.
    """
    if count < 1:
        raise OptionError(f"{count} points", where="-n", remedy="Draw one at least.")
    if seed < 0:
        raise OptionError(f"{seed} is no seed", where="--seed", remedy="Give 0 or more.")
    stem = stem_of(mask).removesuffix("_mask")
    path = Path(f"{stem}_sample.gpkg" if output is None else output)
    if path.suffix.lower() != ".gpkg":
        raise OutputError("a sample is a GeoPackage", where=path, remedy="End its name in .gpkg.")
    check_length(path, "gpkg")
    _check_strata(strata, confidence)
    inputs = [item for item in (mask, confidence) if item is not None]
    with gdal_env(), Mask(mask, classes, confidence) as opened:
        found = stratify(opened, strata)
        if count < (least := sum(min(item.pixels, 2) for item in found)):
            raise OptionError(
                f"{count} points for {len(found)} strata: each needs two for an interval",
                where="-n", remedy=f"Draw {least} or more.",
            )  # fmt: skip
        with Staging.for_file(path, "sample", overwrite=overwrite, inputs=inputs) as staging:
            units = allocate([item.pixels for item in found], count)
            _say_units(found, units, count)
            picked = _pick(opened, strata, found, units, seed)
            _write(staging.path("sample"), opened, found, units, picked)
            return staging.publish()["sample"]


def plan_sample(
    mask: str | Path,
    half: float,
    *,
    expected: float = 0.8,
    strata: By = "class",
    classes: LegendSpec | None = None,
    confidence: str | Path | None = None,
) -> tuple[int, dict[str, int]]:
    """Say how many points give the overall accuracy an interval of a wanted width.

    Args:
        mask: As `sample` takes it.
        half: Half the 95 % interval, 0 to 1, as in 0.03 for plus or minus 3 %.
        expected: The accuracy that is expected of each stratum, 0 to 1.
        strata: As `sample` takes it.
        classes: As `sample` takes them.
        confidence: As `sample` takes it.

    Returns:
        Points in all, and stratum -> its points.

    Raises:
        InputError: The mask or an option is wrong.
    """
    for name, value in (("--plan", half), ("--expect", expected)):
        if not 0 < value < 1:
            raise OptionError(
                f"{value:g} is no share between 0 and 1", where=name, remedy="Give one as in 0.03."
            )
    _check_strata(strata, confidence)
    with gdal_env(), Mask(mask, classes, confidence) as opened:
        found = stratify(opened, strata)
    pixels = [item.pixels for item in found]
    weights, right = np.array(pixels) / sum(pixels), np.full(len(found), expected)
    low, high = max(sample_size(weights, right, half), 2 * len(found)), sum(pixels)
    # Units that rare strata get beyond their share are lacking elsewhere.
    while low < high:
        middle = (low + high) // 2
        if half_width(weights, right, allocate(pixels, middle)) <= half:
            high = middle
        else:
            low = middle + 1
    units = allocate(pixels, high)
    return sum(units), {item.name: drawn for item, drawn in zip(found, units, strict=True)}


def _say_units(strata: list[Stratum], units: list[int], count: int) -> None:
    """Warn of strata with few points, and where there are fewer pixels than points."""
    thin = [
        f"{item.name} ({drawn})"
        for item, drawn in zip(strata, units, strict=True)
        if drawn < min(item.pixels, THIN)
    ]
    if thin:
        warn(f"few points for an interval: {', '.join(thin)}; draw more (-n), or merge classes")
    if sum(units) < count:
        warn(f"the map has {sum(units):,} pixels with data: all of them are drawn")


THIN = 20
"""Of fewer points in a stratum an interval says little."""


def stratify(mask: Mask, by: By = "class") -> list[Stratum]:
    """Count the strata of a mask.

    Raises:
        SceneError: No pixel has data.
        ReadError: Pixels cannot be read.
    """
    ground = GroundArea.measure(mask.crs, mask.transform, mask.shape)
    names = mask.legend.names if by == "class" else dict(_CONFIDENCE)
    top = max(names) + 1
    pixels, metres = np.zeros(top, np.int64), np.zeros(top)
    for row, values in _strips(mask, by):
        at = values >= 0
        pixels += np.bincount(values[at], minlength=top)
        if ground is not None:
            each = np.broadcast_to(ground.rows(row, row + len(values)), values.shape)
            metres += np.bincount(values[at], each[at], minlength=top)
    found = [
        Stratum(
            value, name, int(pixels[value]),
            None if ground is None else float(metres[value]) / _SQUARE_METRES,
        )
        for value, name in names.items()
        if pixels[value]
    ]  # fmt: skip
    if not found:
        raise SceneError("the mask has no data", where=mask.path, remedy="Give another mask.")
    return found


def _check_strata(by: By, confidence: str | Path | None) -> None:
    if by not in ("class", "confidence"):
        raise OptionError(f"no strata {by!r}", where="--strata", remedy="Give class or confidence.")
    if by == "confidence" and confidence is None:
        raise OptionError(
            "strata of confidence need the confidence raster", where="--strata",
            remedy="Give it with --confidence.",
        )  # fmt: skip


def _strips(mask: Mask, by: By) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Yield the first row of each strip, and its pixels' strata (n, W), negative for none."""
    height, width = mask.shape
    step = max(_PIXELS // width, 1)
    for row in range(0, height, step):
        window = Window(row, 0, min(step, height - row), width)
        values = mask.read(window)
        if by == "confidence":
            percent = mask.confidence(window)
            starts = np.array([start for start, _ in _CONFIDENCE], np.int32)
            part = starts[np.searchsorted(starts, percent, side="right") - 1]
            values = np.where((values >= 0) & (percent <= 100), part, -1)
        yield row, values


def _pick(
    mask: Mask, by: By, strata: list[Stratum], units: list[int], seed: int
) -> NDArray[np.int64]:
    """Return stratum, row and column of the units, (n, 3), in an order that tells nothing."""
    rng = np.random.default_rng(seed)
    chosen = [
        np.sort(rng.choice(item.pixels, count, replace=False))
        for item, count in zip(strata, units, strict=True)
    ]
    passed = [0] * len(strata)
    found = []
    for row, values in _strips(mask, by):
        for index, item in enumerate(strata):
            at = np.flatnonzero(values == item.value)
            first, stop = np.searchsorted(chosen[index], (passed[index], passed[index] + len(at)))
            places = at[chosen[index][first:stop] - passed[index]]
            passed[index] += len(at)
            rows, cols = np.divmod(places, values.shape[1])
            found.append(np.stack([np.full(len(places), index), rows + row, cols], axis=1))
    every: NDArray[np.int64] = np.concatenate(found)
    return every[rng.permutation(len(every))]


def _write(
    path: Path,
    mask: Mask,
    strata: list[Stratum],
    units: list[int],
    picked: NDArray[np.int64],
) -> None:
    import geopandas
    import pandas  # type: ignore[import-untyped]
    import pyogrio

    index, rows, cols = picked.T
    grid = mask.transform
    x = grid.a * (cols + 0.5) + grid.b * (rows + 0.5) + grid.c
    y = grid.d * (cols + 0.5) + grid.e * (rows + 0.5) + grid.f
    number = np.arange(1, len(picked) + 1)
    blank: Any = pandas.Series([None] * len(picked), dtype="object")
    points = geopandas.GeoDataFrame(
        {"point": number, "label": blank, "comment": blank},
        geometry=geopandas.points_from_xy(x, y),
        crs=FrameCRS(mask.crs.to_wkt()) if mask.crs else None,
    )
    mapped = [
        mask.legend.names[int(mask.read(Window(int(row), int(col), 1, 1))[0, 0])]
        for row, col in zip(rows, cols, strict=True)
    ]
    design = pandas.DataFrame(
        {"point": number, "stratum": [strata[i].name for i in index], "map_class": mapped}
    )
    table = pandas.DataFrame(
        {
            "stratum": [item.name for item in strata],
            "pixels": [item.pixels for item in strata],
            "hectares": [item.hectares for item in strata],
            "points": units,
        }
    )
    try:
        for layer, frame in ((SAMPLE, points), (DESIGN, design), (STRATA, table)):
            pyogrio.write_dataframe(frame, path, layer=layer, driver="GPKG", append=path.exists())
    except GDAL_ERRORS as error:
        raise write_error(error, path) from error
    embed_qml(path, SAMPLE, form_qml(mask.legend, ["point"]))
