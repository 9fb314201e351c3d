"""A raster's open files, and reading that tries again: the only place where pixels are read."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from rsclip.config import OnReadError
from rsclip.errors import ReadError
from rsclip.scene.gdal import (
    GDAL_ERRORS,
    guarded,
    open_dataset,
    reason,
    refusing_spoilt_data,
)
from rsclip.scene.source import is_remote
from rsclip.types import BoolArray, Shape, Window

__all__ = [
    "Handles",
    "held_bytes",
    "inside",
    "open_raster",
    "pieces",
    "whole",
]

# A network drive or a server that stumbles gets this long before each further try.
_RETRY_SECONDS = (0.2, 1.0)
_OPENED_BEFORE = "It could be opened before: was it moved, replaced or cut off from the network?"
# warnings.catch_warnings changes the whole process.
_open_lock = threading.Lock()

T = TypeVar("T")


class Handles:
    """A raster and its overviews, opened when first needed; for one thread.

    Args:
        source: The raster as it was named.
        dataset: It, open.
        on_error: "fail", or "nodata": blocks that cannot be read count as without data.

    Attributes:
        unreadable: Windows of the raster that could not be read, shared by twins.
    """

    def __init__(self, source: str, dataset: DatasetReader, on_error: OnReadError) -> None:
        self._source = source
        self._on_error = on_error
        self._datasets: dict[int | None, DatasetReader] = {None: dataset}
        self._closed = False
        self.unreadable: set[Window] = set()

    def twin(self) -> "Handles":
        """Return handles of the same raster for another thread."""
        twin = Handles.__new__(Handles)
        twin._source, twin._on_error = self._source, self._on_error
        twin._datasets, twin._closed = {}, False
        twin.unreadable = self.unreadable
        return twin

    def close(self) -> None:
        """Close all; nothing is opened any more."""
        self._closed = True
        self._forget()

    @property
    def tolerant(self) -> bool:
        """What cannot be read counts as without data."""
        return self._on_error == "nodata"

    def dataset(self, level: int | None) -> DatasetReader:
        """Return the raster (None) or an overview, opened on first use.

        Raises:
            ReadError: It cannot be opened again.
        """
        self._refuse_closed()
        if level not in self._datasets:
            # "only" hides coarser overviews: what is read is what the level holds.
            options = {} if level is None else {"overview_level": f"{level}only"}
            with guarded(
                self._source, ReadError, what="cannot be opened again", remedy=_OPENED_BEFORE
            ):
                self._datasets[level] = open_raster(self._source, **options)
        return self._datasets[level]

    def read(
        self, level: int | None, bands: Sequence[int], window: Window, *, masks: Sequence[int]
    ) -> tuple[NDArray[Any], BoolArray | None, BoolArray | None]:
        """Read a window of the raster or of an overview.

        Args:
            level: None, or the number of an overview.
            bands: 1-based; none at all is fine.
            window: Inside the raster.
            masks: 1-based bands whose masks are read too.

        Returns:
            Pixels (bands, h, w) of the bands' common type; where all masks are non-zero, bool
            (h, w), or None where there are none; and where nothing could be read, bool (h, w), or
            None for nowhere.

        Raises:
            ReadError: The pixels cannot be read, after further tries, and `on_error` is "fail".
        """
        if level is not None or not self._lost(window).any():
            try:
                return *self._read_once(level, bands, window, masks), None
            except ReadError:
                if self._on_error == "fail" or level is not None:
                    raise
        return self._read_around(bands, window, masks)

    def lost(self, window: Window) -> BoolArray | None:
        """Return where a window of the raster could not be read: bool (h, w), None for nowhere."""
        lost = self._lost(window)
        return lost if lost.any() else None

    def give_up(self, window: Window, error: ReadError) -> None:
        """Count a window as unreadable.

        Raises:
            ReadError: The error, where `on_error` is "fail".
        """
        if self._on_error == "fail":
            raise error
        self.unreadable.add(window)

    def trying(self, window: Window, grid: str, work: Callable[[], T]) -> T:
        """Do what reads, again with fresh handles after a failure.

        Raises:
            ReadError: It failed every time.
        """
        self._refuse_closed()
        for seconds in _RETRY_SECONDS:
            with contextlib.suppress(*GDAL_ERRORS, ReadError):
                return work()
            self._forget()
            time.sleep(seconds)
        with self._naming(window, grid):
            try:
                return work()
            except (*GDAL_ERRORS, ReadError):
                # Damaged blocks stay in GDAL's cache, where the next read would find them whole.
                self._forget()
                raise

    def _read_once(
        self, level: int | None, bands: Sequence[int], window: Window, masks: Sequence[int]
    ) -> tuple[NDArray[Any], BoolArray | None]:
        place = RasterioWindow(window.col, window.row, window.width, window.height)

        def work() -> tuple[NDArray[Any], BoolArray | None]:
            dataset = self.dataset(level)
            pixels = np.empty((0, *window.shape))
            if bands:
                dtype = np.result_type(*(dataset.dtypes[band - 1] for band in bands))
                with refusing_spoilt_data():
                    pixels = dataset.read(list(bands), window=place, out_dtype=dtype)
            mask = dataset.read_masks(list(masks), window=place).all(axis=0) if masks else None
            return pixels, mask

        return self.trying(window, "" if level is None else f" of overview {level + 1}", work)

    def _read_around(
        self, bands: Sequence[int], window: Window, masks: Sequence[int]
    ) -> tuple[NDArray[Any], BoolArray | None, BoolArray]:
        """Read block by block, leaving out those that fail."""
        dataset = self.dataset(None)
        dtype = np.result_type(*(dataset.dtypes[band - 1] for band in bands)) if bands else float
        pixels = np.zeros((len(bands), *window.shape), dtype)
        mask = np.zeros(window.shape, np.bool_) if masks else None
        for block in pieces(dataset.block_shapes[0], window):
            if self._lost(block).any():
                continue
            try:
                part, part_mask = self._read_once(None, bands, block, masks)
            except ReadError as error:
                self.give_up(whole(block, dataset.block_shapes[0], dataset.shape), error)
                continue
            place = inside(window, block)
            pixels[:, *place] = part
            if mask is not None and part_mask is not None:
                mask[place] = part_mask
        return pixels, mask, self._lost(window)

    def _lost(self, window: Window) -> BoolArray:
        lost = np.zeros(window.shape, np.bool_)
        for other in tuple(self.unreadable):
            rows = slice(max(other.row - window.row, 0), max(other.row_stop - window.row, 0))
            cols = slice(max(other.col - window.col, 0), max(other.col_stop - window.col, 0))
            lost[rows, cols] = True
        return lost

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ValueError("the scene is closed")

    def _forget(self) -> None:
        for dataset in self._datasets.values():
            dataset.close()
        self._datasets = {}

    @contextlib.contextmanager
    def _naming(self, window: Window, grid: str) -> Iterator[None]:
        """Turn what rasterio raises into a ReadError that names file and window."""
        try:
            yield
        except GDAL_ERRORS as error:
            raise ReadError(
                f"pixels cannot be read: {reason(error)}",
                where=f"{self._source}, {window}{grid}",
                remedy="The file may be damaged or cut short, or the connection may have failed; "
                "--on-read-error=nodata goes on without the blocks concerned.",
            ) from error


def open_raster(source: str, **options: Any) -> DatasetReader:
    """Open a raster under the settings that suit its place."""
    settings = {}
    if is_remote(source) and "GDAL_DISABLE_READDIR_ON_OPEN" not in os.environ:
        # Masks and overviews beside the file are then asked for by name, not by listing a folder.
        settings["GDAL_DISABLE_READDIR_ON_OPEN"] = "TRUE"
    with rasterio.Env(**settings) if settings else contextlib.nullcontext():
        dataset: DatasetReader = open_dataset(source, **options)
        # Found here, under these settings, and remembered by GDAL.
        _ = dataset.mask_flag_enums if dataset.count else ()
    return dataset


def held_bytes(dataset: DatasetReader) -> int:
    """Return the bytes of compressed data that GDAL holds for an open GeoTIFF: a tile's, a strip's.

    A file that is one strip is held whole, though GDAL names its rows as its blocks.
    """
    if dataset.driver != "GTiff" or not dataset.count:
        return 0
    return int(dataset.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1) or 0)


def pieces(block: Shape, window: Window) -> Iterator[Window]:
    """Yield the parts of a window that lie in one storage block each."""
    height, width = block
    for row in range(window.row - window.row % height, window.row_stop, height):
        for col in range(window.col - window.col % width, window.col_stop, width):
            top, left = max(row, window.row), max(col, window.col)
            bottom, right = min(row + height, window.row_stop), min(col + width, window.col_stop)
            yield Window(top, left, bottom - top, right - left)


def whole(part: Window, block: Shape, shape: Shape) -> Window:
    """Return the storage block that a part lies in."""
    row, col = part.row - part.row % block[0], part.col - part.col % block[1]
    return Window(row, col, min(block[0], shape[0] - row), min(block[1], shape[1] - col))


def inside(window: Window, part: Window) -> tuple[slice, slice]:
    """Return the place of a part within its window."""
    row, col = part.row - window.row, part.col - window.col
    return slice(row, row + part.height), slice(col, col + part.width)
