"""The label mask: a cloud-optimised GeoTIFF written row by row."""

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window

from rsclip.legend import Legend
from rsclip.palette import NODATA_RGBA
from rsclip.types import Shape
from rsclip.writers.staging import write_error

__all__ = ["MaskWriter"]

_BLOCK = 512
# Rows of a block of the temporary file: few, so that little waits in memory for a whole row of
# blocks; a divisor of _BLOCK, so that making the COG reads every block once.
_ROWS = 128
# The temporary file, the COG, its overviews and their temporary copy, against the first.
_ALL_FILES = 2.7
_DESCRIPTION = "class"
# Every block is read once, so that a large cache and large chunks for overviews only fill memory:
# at 20,000 pixels a side the COG takes as long with 301 MB as with 167 MB.
_COPY_SETTINGS = {"GDAL_CACHEMAX": 16 * 2**20, "GDAL_OVR_CHUNK_MAX_SIZE": 2_000_000}
# SystemError: GDAL failed without a word, as the COG driver may on a full disk.
_GDAL_ERRORS = (OSError, RasterioError, CPLE_BaseError, SystemError)


class MaskWriter:
    """Write labels row by row, then turn them into a COG at `path`.

    Memory is some hundred rows of the scene, whatever its height, and GDAL's block cache (bound it
    with `scene.gdal_env`). A context manager: leaving it closes and removes the temporary file.

    Args:
        path: The COG. A temporary file stands beside it until `finish`.
        shape: (height, width) in pixels.
        crs: The scene's, or None.
        transform: The scene's; rotated and south-up ones stay as they are.
        legend: Gives data type, nodata value and colour table.
        tags: Metadata items of the file.

    Raises:
        WriteError: The file cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        shape: Shape,
        crs: CRS | None,
        transform: Affine,
        legend: Legend,
        tags: Mapping[str, str],
    ) -> None:
        self._path = Path(path)
        self._draft = self._path.with_name(f"{self._path.stem}-draft.tif")
        self._shape = shape
        self._dtype = np.dtype(legend.dtype)
        self._written = 0
        self._checksum = 0
        self._waiting = np.empty((_ROWS, shape[1]), self._dtype)
        self._dataset: Any = None
        profile = {
            "driver": "GTiff",
            "height": shape[0],
            "width": shape[1],
            "count": 1,
            "dtype": legend.dtype,
            "crs": crs,
            "transform": transform,
            "nodata": legend.nodata,
            "tiled": True,
            "blockxsize": _BLOCK,
            "blockysize": _ROWS,
            "compress": "DEFLATE",
            "zlevel": 1,
            "bigtiff": "IF_SAFER",
        }
        with self._guard():
            self._dataset = rasterio.open(self._draft, "w", **profile)
            self._dataset.update_tags(**tags)
            self._dataset.set_band_description(1, _DESCRIPTION)
            self._dataset.colorinterp = [ColorInterp.palette]
            self._dataset.write_colormap(1, _colour_table(legend))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, row: int, labels: np.ndarray) -> None:
        """Write the rows that follow those written before.

        Args:
            row: Number of the first row.
            labels: legend.dtype (n, W), any n.

        Raises:
            ValueError: Rows are out of order, or of another width or type.
            WriteError: The disk is full, or the file cannot be written.
        """
        if row != self._written:
            raise ValueError(f"row {row} given, row {self._written} is next")
        if labels.ndim != 2 or labels.shape[1] != self._shape[1] or labels.dtype != self._dtype:
            wanted = f"{self._dtype} (n, {self._shape[1]})"
            raise ValueError(f"labels {labels.dtype} {labels.shape} do not fit {wanted}")
        if row + len(labels) > self._shape[0]:
            raise ValueError(f"rows end at {row + len(labels)}, the mask at {self._shape[0]}")
        while len(labels):
            filled = self._written % _ROWS
            part, labels = labels[: _ROWS - filled], labels[_ROWS - filled :]
            self._waiting[filled : filled + len(part)] = part
            self._written += len(part)
            if self._written % _ROWS == 0 or self._written == self._shape[0]:
                self._flush(filled + len(part))

    def finish(self) -> Path:
        """Make the COG, compare it with the labels as they were given, and return its path.

        Raises:
            ValueError: Rows are missing.
            WriteError: The disk is full, or what is on the disk is not what was written.
        """
        if self._written != self._shape[0]:
            raise ValueError(f"{self._written} of {self._shape[0]} rows were written")
        # What the user has set in the environment stays.
        settings = {key: value for key, value in _COPY_SETTINGS.items() if key not in os.environ}
        with self._guard(), rasterio.Env(**settings):
            self._dataset.close()
            self._dataset = None
            rasterio.shutil.copy(
                str(self._draft),
                str(self._path),
                driver="COG",
                BLOCKSIZE=_BLOCK,
                COMPRESS="DEFLATE",
                PREDICTOR="NO",
                OVERVIEW_RESAMPLING="MODE",
                BIGTIFF="IF_SAFER",
            )
            # Errors of the last writes can get lost in a close: only reading tells.
            if _checksum_of(self._path) != self._checksum:
                raise OSError("what was written cannot be read back")
        self._remove_draft()
        return self._path

    def close(self) -> None:
        """Close and remove the temporary file; the COG, if finished, stays."""
        if self._dataset is not None:
            with contextlib.suppress(*_GDAL_ERRORS):
                self._dataset.close()
            self._dataset = None
        self._remove_draft()

    def _flush(self, count: int) -> None:
        window = Window(0, self._written - count, self._shape[1], count)
        rows = self._waiting[:count]
        self._checksum ^= _checksum(rows, self._written - count)
        with self._guard():
            self._dataset.write(rows, 1, window=window)

    def _remove_draft(self) -> None:
        for path in (self._draft, Path(f"{self._draft}.aux.xml")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what GDAL and the system raise into a WriteError."""
        try:
            yield
        except _GDAL_ERRORS as error:
            raise write_error(error, self._path, needed=self._needed()) from error

    def _needed(self) -> int | None:
        """Return the bytes still to come, judged by the rows written so far."""
        try:
            so_far = self._draft.stat().st_size
        except OSError:
            return None
        share = max(self._written, 1) / self._shape[0]
        return int(so_far / share * _ALL_FILES) - so_far


def _colour_table(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    table = {value: (*colour, 255) for value, colour in legend.colours.items()}
    return {**table, legend.nodata: NODATA_RGBA}


def _checksum(labels: np.ndarray, row: int, col: int = 0) -> int:
    """Return the checksum of labels whose first pixel lies at (row, col), both whole blocks.

    Checksums of parts join by exclusive or, in any order: the mask is read block by block, never
    in rows as wide as the scene.
    """
    total = 0
    for top in range(0, labels.shape[0], _ROWS):
        for left in range(0, labels.shape[1], _BLOCK):
            part = np.ascontiguousarray(labels[top : top + _ROWS, left : left + _BLOCK])
            # Its place seeds the checksum, so that equal blocks do not cancel out.
            place = zlib.crc32(f"{row + top} {col + left}".encode())
            total ^= zlib.crc32(part.data, place)
    return total


def _checksum_of(path: Path) -> int:
    """Return the checksum of all labels, and see that overviews can be read."""
    total = 0
    with rasterio.open(path) as dataset:
        levels = len(dataset.overviews(1))
        for _, window in dataset.block_windows(1):
            labels = dataset.read(1, window=window)
            total ^= _checksum(labels, int(window.row_off), int(window.col_off))
    for level in range(levels):
        with rasterio.open(path, overview_level=level) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(1, window=window)
    return total
