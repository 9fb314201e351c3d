"""A label raster, read in strips, with the names it carries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.transform import Affine
from rasterio.windows import Window

from rsclip.errors import ReadError, SceneError
from rsclip.geo.area import GroundArea
from rsclip.scene.gdal import GDAL_ERRORS, guarded, open_dataset, reason
from rsclip.scene.source import in_shell, open_error, stem_of
from rsclip.types import Shape
from rsclip.vectors.class_names import names_of
from rsclip.vectors.sieving import sieve_labels, write_scratch
from rsclip.vectors.stream import Strip

__all__ = ["LabelRaster"]

# Pixels of a strip; what a strip of noise needs in memory is about a kilobyte for each.
_STRIP_PIXELS = 400_000
_LEAST_ROWS = 32
# Each strip joins what is open above it: of wide rasters fewer and larger ones, up to these pixels.
_WIDE_PIXELS = 1_000_000
_WIDE_ROWS = 96
# Where outlines are shaped they stay fixed at the border of a strip: it must be far away.
_SHAPED_PIXELS = 1_000_000
_SHAPED_ROWS = 256
# Stands for nodata where a raster marks it by another raster.
_NO_LABEL = int(np.iinfo(np.int32).min)
_LARGEST = int(np.iinfo(np.int32).max)
_SIEVED_TYPES = [np.dtype(name) for name in ("uint8", "uint16", "int16", "int32")]
_PLAIN_TYPES = [*_SIEVED_TYPES, np.dtype("int8")]


_PERCENT = 100


class LabelRaster:
    """One band of class values, and optionally one of confidence. A context manager.

    Args:
        path: The raster: one band of whole numbers, of any type; -2^31 < them < 2^31. 0 and nodata
            are no class.
        confidence: A raster of whole percent on the same grid, or None.

    Attributes:
        shape: (height, width).
        crs: Or None.
        transform: From pixels to coordinates.
        nodata: Labels of pixels without data, one or none.
        no_class: Labels that are no class: 0 and those of `nodata`.

    Raises:
        SceneError: It cannot be opened, or does not hold labels.
    """

    def __init__(self, path: str | Path, confidence: str | Path | None = None) -> None:
        self._path = str(path)
        self._dataset = _open(path)
        self._confidence: Any = None
        self._sieved: NDArray[Any] | None = None
        try:
            _check(self._path, self._dataset)
            self.shape: Shape = self._dataset.shape
            self.crs: CRS | None = self._dataset.crs
            self.transform: Affine = self._dataset.transform
            if confidence is not None:
                self._confidence = _open(confidence)
                self._check_confidence(confidence)
        except BaseException:
            self.close()
            raise
        flags = self._dataset.mask_flag_enums[0]
        nodata = self._dataset.nodata
        plain = MaskFlags.nodata in flags and nodata is not None and float(nodata).is_integer()
        # Of other types the values are looked at, and not what nodata holds.
        self._odd = np.dtype(self._dataset.dtypes[0]) not in _PLAIN_TYPES
        # Any other mask than a value is read beside the labels.
        self._masked = self._odd or (not plain and MaskFlags.all_valid not in flags)
        self.nodata = {_NO_LABEL} if self._masked else {int(nodata)} if plain else set()
        self.no_class = {0} | self.nodata

    def _check_confidence(self, path: str | Path) -> None:
        other = self._confidence
        what = None
        if other.shape != self.shape:
            what = f"its size {other.shape} is not the mask's {self.shape}"
        elif other.count != 1 or other.dtypes[0] != "uint8":
            what = f"it has {other.count} bands of {other.dtypes[0]}, not one of whole percent"
        elif other.crs != self.crs or not other.transform.almost_equals(self.transform):
            what = "it lies elsewhere than the mask"
        if what is not None:
            raise SceneError(what, where=path, remedy="Give the confidence raster of the same run.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the rasters."""
        self._dataset.close()
        if self._confidence is not None:
            self._confidence.close()

    def sieve(self, pixels: int, scratch: Path) -> None:
        """Merge regions of fewer pixels into their largest neighbour, as `--sieve` does in a run.

        What comes after reads the cleaned labels; the file itself stays as it is.

        Args:
            pixels: The least size of a region that stays.
            scratch: A folder with room for the labels, which lie there while this is open.

        Raises:
            ReadError: Pixels cannot be read.
        """
        given = np.dtype(self._dataset.dtypes[0])
        dtype = given if given in _SIEVED_TYPES and not self._masked else np.dtype(np.int32)
        labels, valid = scratch / "labels.tif", scratch / "valid.tif"
        outside = list(self.no_class - {0})
        write_scratch(labels, self.shape, dtype, self._blocks(dtype))
        write_scratch(
            valid,
            self.shape,
            "uint8",
            (
                (top, (~np.isin(block, outside)).astype(np.uint8))
                for top, block in self._blocks(dtype)
            ),
            nbits=1,
        )
        self._sieved = sieve_labels(labels, valid, scratch / "sieved.raw", pixels)

    def _blocks(self, dtype: Any) -> Iterator[tuple[int, NDArray[Any]]]:
        height, width = self.shape
        rows = self._rows(shaped=False)
        for top in range(0, height, rows):
            window = Window(0, top, width, min(rows, height - top))
            yield top, self.read(window).astype(dtype)

    def _rows(self, *, shaped: bool) -> int:
        """Return how many rows a strip has."""
        width = self.shape[1]
        if shaped:
            pixels, least = _SHAPED_PIXELS, _SHAPED_ROWS
        else:
            pixels = max(_STRIP_PIXELS, min(_WIDE_PIXELS, _WIDE_ROWS * width))
            least = _LEAST_ROWS
        return max(pixels // width // least * least, least)

    def strips(self, ground: GroundArea | None, *, shaped: bool = False) -> Iterator[Strip]:
        """Yield the raster from top to bottom.

        Args:
            ground: Areas of the pixels, or None.
            shaped: Outlines inside a strip are given another shape.

        Raises:
            ReadError: Pixels cannot be read.
        """
        height, width = self.shape
        rows = self._rows(shaped=shaped)
        for top in range(0, height, rows):
            count = min(rows, height - top)
            window = Window(0, top, width, count)
            labels = self.read(window)
            confidence = None if self._confidence is None else _read(self._confidence, window)
            if confidence is not None:
                self._check_percent(labels, confidence)
            yield Strip(
                labels,
                None if ground is None else ground.rows(top, top + count),
                confidence,
            )

    def _check_percent(self, labels: NDArray[Any], confidence: NDArray[Any]) -> None:
        if ((confidence > _PERCENT) & ~np.isin(labels, list(self.no_class))).any():
            raise SceneError(
                "pixels with a class have a confidence above 100 percent, or none",
                where=self._confidence.name,
                remedy="Give the confidence raster of the same run.",
            )

    def read_confidence(self, window: Window) -> NDArray[Any]:
        """Return the confidence of a rasterio window, uint8 (h, w), percent.

        Raises:
            ReadError: Pixels cannot be read.
        """
        return _read(self._confidence, window)

    def names(self) -> dict[int, str]:
        """Return value -> name as the file says, 0 too; empty where it says nothing."""
        return names_of(self._dataset)

    def tags(self) -> dict[str, str]:
        """Return the file's metadata items."""
        tags: dict[str, str] = self._dataset.tags()
        return tags

    def colours(self) -> dict[int, tuple[int, int, int]]:
        """Return value -> (r, g, b) of the colour table; empty without one."""
        try:
            table = self._dataset.colormap(1)
        except ValueError:
            return {}
        return {value: colour[:3] for value, colour in table.items()}

    def read(self, window: Window) -> NDArray[Any]:
        """Return the labels of a rasterio window, (h, w), with what `nodata` holds where none are.

        Raises:
            ReadError: Pixels cannot be read.
            SceneError: A value is no class value.
        """
        if self._sieved is not None:
            return np.array(self._sieved[window.row_off : window.row_off + window.height])
        labels = _read(self._dataset, window)
        if not self._masked:
            return labels
        valid = self._dataset.read_masks(1, window=window) > 0
        if self._odd:
            labels, valid = self._whole(labels, valid)
        return np.where(valid, labels.astype(np.int64), _NO_LABEL)

    def _whole(
        self, pixels: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return class values of a type that may hold others, and where they are valid."""
        if pixels.dtype.kind == "f":
            valid = valid & np.isfinite(pixels)
            broken = pixels[valid & (pixels != np.floor(pixels))]
            if broken.size:
                raise SceneError(
                    f"the value {broken[0]:g} is no class value (a whole number)",
                    where=self._path,
                    remedy="Give a mask: scores and heights have no outlines.",
                )
        pixels = np.where(valid, pixels, 0)
        beyond = pixels[(pixels > _LARGEST) | (pixels < -_LARGEST)]
        if beyond.size:
            raise SceneError(
                f"the value {beyond[0]:.0f} is beyond the class values that vector files take",
                where=self._path,
                remedy=f"They end at {_LARGEST}.",
            )
        return pixels, valid


def _open(path: str | Path) -> Any:
    try:
        return open_dataset(path)
    except GDAL_ERRORS as error:
        raise open_error(str(path), reason(error)) from error


def _check(path: str, dataset: Any) -> None:
    if dataset.count != 1:
        raise SceneError(
            f"it has {dataset.count} bands, a mask has one",
            where=path,
            remedy=f"Choose a band: gdal_translate -b 1 {in_shell(path)} "
            f"{in_shell(stem_of(path) + '_band.tif')}",
        )
    kind = np.dtype(dataset.dtypes[0])
    if kind.kind not in "iuf":
        raise SceneError(
            f"its pixels are {kind}, not class values", where=path, remedy="Give a mask."
        )


def _read(dataset: Any, window: Window) -> NDArray[Any]:
    rows = f"rows {window.row_off}:{window.row_off + window.height} cannot be read"
    with guarded(dataset.name, ReadError, what=rows, remedy="Is the file whole?"):
        pixels: NDArray[Any] = dataset.read(1, window=window)
    return pixels
