"""Which pixels of a raster hold data: rasterio's `dataset_mask()`, and NaN."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from rsclip.errors import OptionError, SceneError
from rsclip.scene.bands import Bands
from rsclip.scene.source import is_there
from rsclip.types import BoolArray

__all__ = ["Validity", "find_validity"]


@dataclass(frozen=True, slots=True)
class Validity:
    """Where a raster says which of its pixels hold data.

    A mask or alpha band beats a declared nodata value, as in rasterio and GDAL. A nodata value
    makes a pixel invalid where every band has it; where bands have masks of their own (VRT, ISIS3
    cubes, .msk), one chosen band is enough. A value given by the user adds to masks and alpha.

    Attributes:
        masks: 1-based bands whose masks must all be non-zero; one of them where all share it.
        alpha: 1-based alpha band whose 0 is invalid.
        nodata: 1-based band -> value that means no data.
        finite: NaN and infinity in the image bands are invalid.
        transparent: Palette entries with alpha 0 are invalid.
        words: The sources in words.
    """

    masks: tuple[int, ...]
    alpha: int | None
    nodata: Mapping[int, float]
    finite: bool
    transparent: bool
    words: str

    @property
    def everywhere(self) -> bool:
        """No pixel can be invalid."""
        return not (self.masks or self.alpha or self.nodata or self.finite or self.transparent)

    def bands(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Return the bands whose pixels `of` needs, ascending."""
        needed = set(self.nodata) | ({self.alpha} if self.alpha else set())
        if self.finite or self.transparent:
            needed |= set(image)
        return tuple(sorted(needed))

    def of(
        self, pixels: Mapping[int, NDArray[Any]], mask: BoolArray | None, bands: Bands
    ) -> BoolArray | None:
        """Work out the valid pixels; None means all of them.

        Args:
            pixels: 1-based band -> (h, w), at least `self.bands(bands.image)`.
            mask: bool (h, w), where all of `masks` are non-zero, if there are any.
            bands: The image bands.
        """
        parts: list[BoolArray] = []
        if self.masks and mask is not None:
            parts.append(mask)
        if self.alpha:
            parts.append(pixels[self.alpha] > 0)
        if self.nodata:
            empty = np.logical_and.reduce(
                [_equals(pixels[band], value) for band, value in self.nodata.items()]
            )
            parts.append(~empty)
        if self.finite:
            parts.extend(np.isfinite(pixels[band]) for band in set(bands.image))
        if self.transparent and bands.palette is not None:
            parts.append(bands.palette[pixels[bands.image[0]], 3] > 0)
        return np.logical_and.reduce(parts) if parts else None


def find_validity(dataset: DatasetReader, bands: Bands, nodata: float | None = None) -> Validity:
    """Find out where a raster says which of its pixels hold data.

    Args:
        dataset: An open raster.
        bands: Its chosen bands.
        nodata: Value in place of the declared one.

    Raises:
        OptionError: The bands cannot hold `nodata`.
        SceneError: There is a mask file beside the raster that GDAL passes over.
    """
    masks = _own_masks(dataset, bands)
    if not masks:
        _refuse_unused_mask(dataset)
    shared = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    # GDAL sees alpha as a mask in two- and four-band files only; red, green, blue, infrared, alpha
    # means the same.
    alpha = None if masks and shared else bands.alpha
    values: dict[int, float] = {}
    if nodata is not None:
        colours = [index for index in dataset.indexes if index != bands.alpha]
        for index in colours:
            _refuse_impossible(dataset, index, nodata)
        values = dict.fromkeys(colours, nodata)
    elif (
        not masks and not alpha and MaskFlags.nodata in dataset.mask_flag_enums[bands.image[0] - 1]
    ):
        values = {
            index: value
            for index, value in zip(dataset.indexes, dataset.nodatavals, strict=True)
            if value is not None
        }
        # One band without a nodata value is valid throughout, and so are then all pixels.
        if masks or len(values) < dataset.count:
            values = {}
    finite = any(np.dtype(dataset.dtypes[index - 1]).kind == "f" for index in bands.image)
    transparent = bands.palette is not None and bool((bands.palette[:, 3] == 0).any())
    words = []
    if masks:
        file = any(str(name).lower().endswith(".msk") for name in dataset.files)
        kind = "mask file (.msk)" if file else "internal mask"
        words.append(kind if shared else "each band's own mask")
    if alpha:
        words.append(f"alpha band {alpha}")
    if values and not (finite and all(math.isnan(value) for value in values.values())):
        words.append(_nodata_words(values, given=nodata is not None))
    if transparent:
        words.append("transparent palette entries")
    if finite:
        words.append("NaN pixels")
    text = ", ".join(words) if words else "none: every pixel is valid"
    return Validity(masks, alpha, values, finite, transparent, text)


def _own_masks(dataset: DatasetReader, bands: Bands) -> tuple[int, ...]:
    """Return the bands whose masks tell: the first where all share one, else the chosen ones."""
    flags = dataset.mask_flag_enums
    if MaskFlags.per_dataset in flags[0]:
        return () if MaskFlags.alpha in flags[0] else (1,)
    chosen = sorted(set(bands.image))
    # GDAL has no flag for a mask that is a band's own.
    if all(flags[band - 1] for band in chosen):
        return ()
    return tuple(band for band in chosen if MaskFlags.all_valid not in flags[band - 1])


def _refuse_unused_mask(dataset: DatasetReader) -> None:
    file = Path(dataset.name + ".msk")
    # GDAL says nothing of a mask that it cannot read; told to look at no other file, it is right.
    told = os.environ.get("GDAL_DISABLE_READDIR_ON_OPEN", "").upper() == "EMPTY_DIR"
    if not told and is_there(file):
        raise SceneError(
            "the mask file cannot be used: it is damaged, or of another size than its raster",
            where=file,
            remedy="Make it anew, or remove it if every pixel holds data.",
        )


def _nodata_words(values: Mapping[int, float], *, given: bool) -> str:
    different = list(dict.fromkeys(values.values()))
    plural = "s" if len(different) > 1 else ""
    text = f"nodata value{plural} {', '.join(f'{value:.10g}' for value in different)}"
    return f"{text} (--nodata)" if given else text


def _equals(pixels: NDArray[Any], value: float) -> BoolArray:
    """Compare as GDAL's nodata mask does: whole numbers exactly, floats to a few last places."""
    if pixels.dtype.kind != "f":
        info = np.iinfo(pixels.dtype)
        if math.isnan(value) or not info.min <= value <= info.max:
            return np.zeros(pixels.shape, np.bool_)
        return np.asarray(pixels == pixels.dtype.type(value))
    if math.isnan(value):
        return np.asarray(np.isnan(pixels))
    with np.errstate(over="ignore", invalid="ignore"):
        target = pixels.dtype.type(value)
        room = np.finfo(pixels.dtype).eps * np.abs(pixels + target) * 2
        near: BoolArray = (pixels == target) | (np.abs(pixels - target) < room)
    return near


def _refuse_impossible(dataset: DatasetReader, index: int, nodata: float) -> None:
    dtype = np.dtype(dataset.dtypes[index - 1])
    if dtype.kind == "f":
        return
    info = np.iinfo(dtype)
    if not (info.min <= nodata <= info.max) or nodata != int(nodata):
        raise OptionError(
            f"{nodata:g} is no value of {dtype} pixels, as {dataset.name} has them",
            where="--nodata",
            remedy=f"They are whole numbers from {info.min} to {info.max}.",
        )
