"""The whole raster at once: a sample of it, from overviews where they fit, or all in pieces."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from rsclip.errors import ReadError, warn
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.scene.reading import Handles
from rsclip.scene.source import in_shell
from rsclip.types import BoolArray, Shape, Window

__all__ = ["Overviews", "Sampler", "reflect"]

_CHUNK_PIXELS = 2_000_000
_READ_ROWS = 256
# Overviews are held against the pixels under this many of theirs on each side of a place.
_AROUND = 2
_REGULAR = ((1, 1), (1, 3), (2, 2), (3, 1), (3, 3))
# Cubic resampling overshoots, lossy compression rings: shares of the range nearby and overall.
_NEARBY, _OVERALL = 0.25, 0.03
# Standard deviations that the mean may be off: far more than nearest resampling makes of noise.
_MEAN_OFF = 0.5
_SHARE_OFF = 0.3
_ENOUGH = 50

Pixels = NDArray[Any]
Read = Callable[[int | None, Window], tuple[Pixels, BoolArray]]


@dataclass(slots=True)
class Overviews:
    """The overviews of a raster that may stand for it; shared by all who read it.

    Attributes:
        factors: Pixels of the raster per pixel of each, along one axis.
        flags: GDAL's flags of the masks that the raster has, by band.
        checked: Numbers of the overviews that were held against the pixels.
    """

    factors: list[int]
    flags: tuple[Any, ...]
    checked: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, dataset: DatasetReader, nodata: float | None, palette: bool) -> "Overviews":
        """Find the overviews that all bands have.

        Args:
            dataset: The raster, open.
            nodata: Value given by the user; where the file does not declare it, overviews have
                averaged it into its neighbours.
            palette: Pixels are indices; their overviews are taken as they are.
        """
        factors = [dataset.overviews(band) for band in dataset.indexes]
        usable = nodata is None or set(dataset.nodatavals) == {nodata}
        alike = all(each == factors[0] for each in factors)
        found = list(factors[0]) if usable and alike else []
        return cls(found, dataset.mask_flag_enums, set(range(len(found))) if palette else set())


@dataclass(frozen=True, slots=True)
class Sampler:
    """Reads a whole raster; for one thread.

    Attributes:
        source: The raster as it was named.
        handles: Its open files.
        read: Reads a window of the raster (None) or of an overview: pixels (3, h, w), valid (h, w).
        overviews: Its overviews.
    """

    source: str
    handles: Handles
    read: Read
    overviews: Overviews

    def sample(self, max_side: int) -> tuple[Pixels, BoolArray]:
        """Read pixels spread evenly over the raster: (3, h, w) and valid (h, w).

        Raises:
            ReadError: The pixels cannot be read.
        """
        factor = max(1.0, max(self.handles.dataset(None).shape) / max_side)
        level = self._level(factor)
        if level is not None:
            try:
                pixels, valid, places = self._spread(level, factor)
            except ReadError:
                # Only the overview is damaged: the pixels are read, or left out where they are too.
                if not self.handles.tolerant:
                    raise
            else:
                if level in self.overviews.checked or self._fits(level, pixels, valid, places):
                    self.overviews.checked.add(level)
                    return pixels, valid
                self.overviews.factors.clear()
                warn(
                    f"{self.source}: its overviews do not fit its pixels, so the pixels themselves "
                    "are read for the stretch and for pictures, which takes longer; "
                    f"`gdaladdo -r average {in_shell(self.source)}` makes the overviews anew"
                )
        return self._spread(None, factor)[:2]

    def chunks(self) -> Iterator[tuple[Pixels, BoolArray]]:
        """Read the whole raster piece by piece, whole blocks at a time.

        Raises:
            ReadError: The pixels cannot be read.
        """
        dataset = self.handles.dataset(None)
        (height, width), (step_rows, step_cols) = dataset.shape, _steps(dataset, _READ_ROWS)
        for row in range(0, height, step_rows):
            for col in range(0, width, step_cols):
                size = min(step_rows, height - row), min(step_cols, width - col)
                yield self.read(None, Window(row, col, *size))

    def _level(self, factor: float) -> int | None:
        """Choose the coarsest overview that is no coarser than `factor`; None for the raster."""
        factors = self.overviews.factors
        fitting = [i for i, each in enumerate(factors) if each <= factor * (1 + 1e-6)]
        if not fitting:
            return None
        level = max(fitting, key=lambda i: factors[i])
        with contextlib.suppress(*GDAL_ERRORS, ReadError):
            # An overview may lack the mask that the raster has.
            if self.handles.dataset(level).mask_flag_enums == self.overviews.flags:
                return level
        return None

    def _spread(
        self, level: int | None, factor: float
    ) -> tuple[Pixels, BoolArray, tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Read every `factor`-th pixel of the raster, from an overview or not.

        Returns:
            Pixels, valid, and the rows and columns of the overview that they come from.
        """
        dataset, own = self.handles.dataset(level), self.handles.dataset(None).shape
        rows, cols = (
            spread(size, max(1, round(full / factor)))
            for size, full in zip(dataset.shape, own, strict=True)
        )
        # Where every row of blocks is needed anyway, several are read at once.
        at_once = _READ_ROWS if factor <= dataset.block_shapes[0][0] else 1
        step_rows, step_cols = _steps(dataset, at_once)
        lines = []
        for some_rows in groups(rows, step_rows):
            line = [self._pick(level, some_rows, some) for some in groups(cols, step_cols)]
            lines.append([np.concatenate(parts, axis=-1) for parts in zip(*line, strict=True)])
        pixels, valid = (np.concatenate(parts, axis=-2) for parts in zip(*lines, strict=True))
        return pixels, valid, (rows, cols)

    def _pick(
        self, level: int | None, rows: NDArray[np.intp], cols: NDArray[np.intp]
    ) -> tuple[Pixels, BoolArray]:
        """Read the pixels where some rows and columns cross."""
        row, col = int(rows[0]), int(cols[0])
        window = Window(row, col, int(rows[-1]) + 1 - row, int(cols[-1]) + 1 - col)
        pixels, valid = self.read(level, window)
        index = np.ix_(rows - row, cols - col)
        return pixels[:, index[0], index[1]], valid[index]

    def _fits(
        self,
        level: int,
        pixels: Pixels,
        valid: BoolArray,
        places: tuple[NDArray[np.intp], NDArray[np.intp]],
    ) -> bool:
        """Say whether an overview agrees with the pixels under it, looking at a few places.

        No resampling makes values that lie far outside of those it is made from: the darkest and
        the brightest pixel of each band show what does. Five regular places show the rest by their
        mean. Where the pixels cannot be read, nothing speaks against the overview.

        Args:
            level: Number of the overview.
            pixels: (3, h, w) of the sample taken from it.
            valid: (h, w) of the sample.
            places: Rows and columns of the overview that the sample comes from.
        """
        rows, cols = places
        with contextlib.suppress(ReadError):
            pairs = [
                self._both(level, rows[len(rows) * down // 4], cols[len(cols) * right // 4])
                for down, right in _REGULAR
            ]
            over, under = (np.concatenate(parts, axis=1) for parts in zip(*pairs, strict=True))
            if not _alike(over, under):
                return False
            for band, plane in enumerate(pixels):
                seen = plane[valid]
                if not seen.size:
                    break
                span = float(seen.max()) - float(seen.min())
                for value in (seen.min(), seen.max()):
                    row, col = np.argwhere((plane == value) & valid)[0]
                    near = self._both(level, rows[row], cols[col])[1][band]
                    near = near[np.isfinite(near)]
                    if not near.size or not _reaches(near, float(value), span):
                        return False
        return True

    def _both(
        self, level: int, row: int, col: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Read an overview around a place, and the pixels under it: (3, n), NaN is not valid."""
        shape, own = self.handles.dataset(level).shape, self.handles.dataset(None).shape
        window = _within(shape, row - _AROUND, col - _AROUND, row + _AROUND + 1, col + _AROUND + 1)
        rows, cols = (full / size for full, size in zip(own, shape, strict=True))
        below = _within(
            own,
            math.floor(window.row * rows),
            math.floor(window.col * cols),
            math.ceil(window.row_stop * rows),
            math.ceil(window.col_stop * cols),
        )
        over, under = (
            np.where(valid, pixels, np.nan).reshape(3, -1).astype(np.float64)
            for pixels, valid in (self.read(level, window), self.read(None, below))
        )
        return over, under


def _alike(over: NDArray[np.float64], under: NDArray[np.float64]) -> bool:
    """Compare share of valid pixels and means (3, n) of an overview and the pixels under it."""
    share, share_under = (np.isfinite(each[0]).mean() for each in (over, under))
    if share_under > 0.5 and share < share_under - _SHARE_OFF:
        return False
    for band, band_under in zip(over, under, strict=True):
        seen, seen_under = band[np.isfinite(band)], band_under[np.isfinite(band_under)]
        if not seen.size or not seen_under.size:
            continue
        # Rounding and lossy compression shift means a little.
        room = _MEAN_OFF * seen_under.std() + _OVERALL * abs(seen_under.mean())
        # Few pixels say little of a mean.
        if abs(seen.mean() - seen_under.mean()) > room * max(1, math.sqrt(_ENOUGH / seen.size)):
            return False
    return True


def _reaches(near: NDArray[np.float64], value: float, span: float) -> bool:
    low, high = float(near.min()), float(near.max())
    room = _NEARBY * (high - low) + _OVERALL * span + 1e-6 * abs(value)
    return low - room <= value <= high + room


def _within(shape: Shape, top: int, left: int, bottom: int, right: int) -> Window:
    row, col = max(int(top), 0), max(int(left), 0)
    return Window(row, col, min(int(bottom), shape[0]) - row, min(int(right), shape[1]) - col)


def _steps(dataset: DatasetReader, rows_at_once: int) -> tuple[int, int]:
    """Return (rows, columns) to read at once, in whole blocks."""
    block_height, block_width = dataset.block_shapes[0]
    rows = whole_blocks(block_height, dataset.height, rows_at_once, _READ_ROWS)
    return rows, whole_blocks(block_width, dataset.width, _CHUNK_PIXELS // rows, _READ_ROWS)


def spread(size: int, count: int) -> NDArray[np.intp]:
    """Return `count` pixels spread evenly over `size`, nearest to the centres."""
    return ((np.arange(count) + 0.5) * (size / count)).astype(np.intp).clip(0, size - 1)


def groups(index: NDArray[np.intp], step: int) -> list[NDArray[np.intp]]:
    """Split ascending positions where they pass a multiple of `step`."""
    return np.split(index, np.flatnonzero(np.diff(index // step)) + 1)


def whole_blocks(block: int, size: int, room: int, least: int) -> int:
    """Return as many whole blocks as have room, in pixels; a block too large is cut.

    Args:
        block: Side of a block.
        size: Side of the raster.
        room: Pixels that may be read at once along this axis.
        least: Pixels of a block that is cut.
    """
    if block >= size:
        return min(size, max(1, room, least))
    return min(size, block * max(1, room // block))


def reflect(start: int, count: int, size: int) -> NDArray[np.intp]:
    """Return the pixels that `count` positions from `start` on mirror, as np.pad's "reflect".

    Args:
        start: First position.
        count: Number of positions.
        size: Pixels along the axis; positions outside 0..size-1 are mirrored at the last pixel.
    """
    if size == 1:
        return np.zeros(count, np.intp)
    position = np.abs(np.arange(start, start + count)) % (2 * size - 2)
    return np.where(position < size, position, 2 * size - 2 - position)
