"""Cloud-optimised GeoTIFFs written row by row: the label mask and the score rasters alike."""

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

from rsclip.outputs.files.disk import write_error
from rsclip.scene.gdal import GDAL_ERRORS, open_dataset, quiet_libtiff
from rsclip.types import Shape

__all__ = ["Bands", "CogWriter", "checksums_of"]

_BLOCK = 512
# Rows of a block of the temporary file: few, so that little waits in memory for a whole row of
# blocks; a divisor of _BLOCK, so that making the COG reads every block once. Many bands share
# them, down to the least that a TIFF tile may have.
_ROWS = 128
_LEAST_ROWS = 16
# The temporary file, the COG, its overviews and their temporary copy, against the first.
_ALL_FILES = 2.7
# Every block is read once, so that a large cache and large chunks for overviews only fill memory:
# at 20,000 pixels a side the COG takes as long with 301 MB as with 167 MB.
_COPY_SETTINGS = {
    "GDAL_CACHEMAX": 16 * 2**20,
    "GDAL_OVR_CHUNK_MAX_SIZE": 2_000_000,
    "GDAL_NUM_THREADS": "ALL_CPUS",
}

ColourTable = Mapping[int, tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class Bands:
    """What the bands of a raster hold.

    Attributes:
        descriptions: One a band.
        dtype: Type of all pixels.
        nodata: Value of pixels without data.
        overviews: How they are made: MODE for labels, AVERAGE for quantities (nodata left out).
        colours: Value -> (r, g, b, alpha), for one band of labels.
    """

    descriptions: Sequence[str]
    dtype: str
    nodata: int
    overviews: Literal["MODE", "AVERAGE", "NEAREST"]
    colours: ColourTable | None = None


class CogWriter:
    """Write pixels row by row, then turn them into a COG at `path`.

    Memory is some hundred rows of the raster, whatever its height, and GDAL's block cache (bound it
    with `scene.gdal_env`). A context manager: leaving it closes and removes the temporary file.

    Args:
        path: The COG. A temporary file stands beside it until `finish`.
        shape: (height, width) in pixels.
        crs: The scene's, or None.
        transform: The scene's; rotated and south-up ones stay as they are.
        bands: What the bands hold.
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
        bands: Bands,
        tags: Mapping[str, str],
    ) -> None:
        self._path = Path(path)
        self._draft = self._path.with_name(f"{self._path.stem}-draft.tif")
        self._shape = shape
        self._crs = crs
        self._bands = bands
        self._dtype = np.dtype(bands.dtype)
        count = len(bands.descriptions)
        self._rows = _rows_of(count)
        self._written = 0
        self._checksums = [0] * -(-shape[1] // _BLOCK)
        self._waiting = np.empty((count, self._rows, shape[1]), self._dtype)
        self._dataset: Any = None
        profile = {
            "driver": "GTiff",
            "height": shape[0],
            "width": shape[1],
            "count": count,
            "dtype": bands.dtype,
            "crs": crs,
            "transform": transform,
            "nodata": bands.nodata,
            "tiled": True,
            "blockxsize": _BLOCK,
            "blockysize": self._rows,
            "interleave": "pixel",
            "compress": "DEFLATE",
            "zlevel": 1,
            "bigtiff": "IF_SAFER",
        }
        if bands.colours is None:
            # GDAL takes three or four bands of bytes for red, green, blue and alpha.
            profile |= {"photometric": "MINISBLACK", "alpha": "NO"}
        with self._guard():
            self._dataset = open_dataset(self._draft, "w", **profile)
            self._dataset.update_tags(**tags)
            for band, text in enumerate(bands.descriptions, 1):
                self._dataset.set_band_description(band, text)
            if bands.colours is not None:
                self._dataset.colorinterp = [ColorInterp.palette]
                self._dataset.write_colormap(1, bands.colours)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, row: int, pixels: np.ndarray) -> None:
        """Write the rows that follow those written before.

        Args:
            row: Number of the first row.
            pixels: bands.dtype (n, W) for one band, (C, n, W) for several; any n.

        Raises:
            ValueError: Rows are out of order, or of another width or type.
            WriteError: The disk is full, or the file cannot be written.
        """
        if row != self._written:
            raise ValueError(f"row {row} given, row {self._written} is next")
        count, width = len(self._waiting), self._shape[1]
        if pixels.ndim == 2:
            pixels = pixels[None]
        if pixels.ndim != 3 or pixels.dtype != self._dtype or pixels.shape[::2] != (count, width):
            wanted = f"{self._dtype} ({count}, n, {width})"
            raise ValueError(f"labels {pixels.dtype} {pixels.shape} do not fit {wanted}")
        stop = row + pixels.shape[1]
        if stop > self._shape[0]:
            raise ValueError(f"rows end at {stop}, the raster at {self._shape[0]}")
        while pixels.shape[1]:
            filled = self._written % self._rows
            part = pixels[:, : self._rows - filled]
            pixels = pixels[:, self._rows - filled :]
            self._waiting[:, filled : filled + part.shape[1]] = part
            self._written += part.shape[1]
            if self._written % self._rows == 0 or self._written == self._shape[0]:
                self._flush(filled + part.shape[1])

    def reread(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield what was written, when all rows are: number of the first row, (C, n, W).

        Raises:
            ValueError: Rows are missing.
            WriteError: What was written cannot be read.
        """
        self._close_whole()
        height, width = self._shape
        with self._guard(), open_dataset(self._draft) as draft:
            for top in range(0, height, self._rows):
                count = min(self._rows, height - top)
                yield top, draft.read(window=Window(0, top, width, count))

    def finish(self) -> Path:
        """Make the COG, compare its pixels and CRS with the given ones, and return its path.

        Raises:
            ValueError: Rows are missing.
            WriteError: The disk is full, or what is on the disk is not what was written.
        """
        self._close_whole()
        # What the user has set in the environment stays.
        settings = {key: value for key, value in _COPY_SETTINGS.items() if key not in os.environ}
        with self._guard(), rasterio.Env(**settings):
            rasterio.shutil.copy(
                str(self._draft),
                str(self._path),
                driver="COG",
                BLOCKSIZE=_BLOCK,
                COMPRESS="DEFLATE",
                PREDICTOR="NO",
                OVERVIEW_RESAMPLING=self._bands.overviews,
                BIGTIFF="IF_SAFER",
            )
            # Errors of the last writes can get lost in a close: only reading tells.
            if checksums_of(self._path, self._rows) != self._checksums:
                raise OSError("what was written cannot be read back")
            with open_dataset(self._path) as made:
                if not _same_kind(self._crs, made.crs):
                    raise OSError(f"its CRS was read back as {made.crs}, not as {self._crs}")
        self._remove_draft()
        return self._path

    def relabel(self, changes: Mapping[int, int]) -> None:
        """Replace values throughout, when all rows are written and before `finish`.

        Args:
            changes: Old value -> new value.

        Raises:
            ValueError: Rows are missing.
            WriteError: The disk is full, or the file cannot be read back.
        """
        self._close_whole()
        lookup = np.arange(np.iinfo(self._dtype).max + 1, dtype=self._dtype)
        lookup[list(changes)] = list(changes.values())
        self._checksums = [0] * len(self._checksums)
        with self._guard():
            self._dataset = open_dataset(self._draft, "r+")
            for top in range(0, self._shape[0], self._rows):
                height = min(self._rows, self._shape[0] - top)
                for index in range(len(self._checksums)):
                    left = index * _BLOCK
                    window = Window(left, top, min(_BLOCK, self._shape[1] - left), height)
                    pixels = lookup[self._dataset.read(window=window)]
                    self._dataset.write(pixels, window=window)
                    _add_checksums(self._checksums, pixels, index)

    def close(self) -> None:
        """Close and remove the temporary file; the COG, if finished, stays."""
        if self._dataset is not None:
            with quiet_libtiff(), contextlib.suppress(*GDAL_ERRORS):
                self._dataset.close()
            self._dataset = None
        self._remove_draft()

    def _close_whole(self) -> None:
        if self._written != self._shape[0]:
            raise ValueError(f"{self._written} of {self._shape[0]} rows were written")
        if self._dataset is not None:
            with self._guard():
                self._dataset.close()
            self._dataset = None

    def _flush(self, count: int) -> None:
        pixels = self._waiting[:, :count]
        _add_checksums(self._checksums, pixels, 0)
        window = Window(0, self._written - count, self._shape[1], count)
        with self._guard():
            self._dataset.write(pixels, window=window)

    def _remove_draft(self) -> None:
        for path in (self._draft, Path(f"{self._draft}.aux.xml")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what GDAL and the system raise into a WriteError."""
        try:
            with quiet_libtiff():
                yield
        except GDAL_ERRORS as error:
            raise write_error(error, self._path, needed=self._needed()) from error

    def _needed(self) -> int | None:
        """Return the bytes still to come, judged by the rows written so far."""
        try:
            so_far = self._draft.stat().st_size
        except OSError:
            return None
        share = max(self._written, 1) / self._shape[0]
        return int(so_far / share * _ALL_FILES) - so_far


def _same_kind(given: CRS | None, found: CRS | None) -> bool:
    """Tell whether a CRS survived: GeoTIFF keeps no text, so kind and code are compared."""
    if not given or not found:
        return not given and not found
    kinds = [(crs.is_geographic, crs.is_projected) for crs in (given, found)]
    codes = [crs.to_epsg() for crs in (given, found)]
    return kinds[0] == kinds[1] and (None in codes or codes[0] == codes[1])


def _rows_of(count: int) -> int:
    rows = _ROWS
    while rows > _LEAST_ROWS and rows * count > _ROWS:
        rows //= 2
    return rows


def _add_checksums(checksums: list[int], pixels: np.ndarray, first: int) -> None:
    """Carry on the checksums of columns of blocks, from number `first` on.

    Every column has its own, so that reading back needs whole blocks once and never a whole row of
    many bands.

    Args:
        checksums: One a column of blocks.
        pixels: (C, n, w), as many rows as were written at once.
        first: Number of the column that the pixels begin with.
    """
    for index in range(-(-pixels.shape[2] // _BLOCK)):
        part = np.ascontiguousarray(pixels[:, :, index * _BLOCK : (index + 1) * _BLOCK])
        checksums[first + index] = zlib.crc32(part.data, checksums[first + index])


def checksums_of(path: Path, rows: int) -> list[int]:
    """Return the checksums of all pixels, and see that overviews can be read.

    Args:
        path: A raster.
        rows: As many rows as were added at once.
    """
    with open_dataset(path) as dataset:
        levels = len(dataset.overviews(1))
        checksums = [0] * -(-dataset.width // _BLOCK)
        for top in range(0, dataset.height, _BLOCK):
            height = min(_BLOCK, dataset.height - top)
            for index in range(len(checksums)):
                left = index * _BLOCK
                width = min(_BLOCK, dataset.width - left)
                block = dataset.read(window=Window(left, top, width, height))
                for row in range(0, height, rows):
                    _add_checksums(checksums, block[:, row : row + rows], index)
    for level in range(levels):
        with open_dataset(path, overview_level=level) as dataset:
            for _, window in dataset.block_windows(1):
                dataset.read(window=window)
    return checksums
