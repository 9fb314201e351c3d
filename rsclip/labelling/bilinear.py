"""From the patch grid to pixels: bilinearly between patch centres, clamped at the border.

Every operation works on single pixels, so that the cut into windows never changes a value.
"""

from collections.abc import Callable

import numpy as np

from rsclip.types import FloatArray, Rows, Shape, Window

__all__ = ["Bilinear", "Values"]

Values = Callable[[int], FloatArray]
"""Gives the similarities of one query: float32 (h, w)."""


class Bilinear:
    """Interpolate between patch centres (half-pixel centres).

    Args:
        shape: (height, width) of the scene in pixels.
        cells: (rows, columns) of the patch grid.
        cell_size: (rows, columns) of scene pixels that one patch covers; fractions are fine.

    Attributes:
        low, high: int64 (height,) first and last patch row that each row of pixels needs.
    """

    def __init__(self, shape: Shape, cells: Shape, cell_size: tuple[float, float]) -> None:
        self._rows = _Axis(shape[0], cells[0], cell_size[0])
        self._cols = _Axis(shape[1], cells[1], cell_size[1])
        self.low, self.high = self._rows.low, self._rows.high

    def values(self, held: Rows, window: Window) -> tuple[Values, FloatArray | None]:
        """Return the similarities of pixels, query by query, and how far patches were covered.

        Args:
            held: Patch rows, all that the window needs among them.
            window: Pixels of the scene.

        Returns:
            A function from query to float32 (h, w), and float32 (h, w), 0 where no window of the
            encoder saw anything; None where it saw everything.
        """
        rows, columns = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
        low, high = self._rows.low[rows] - held.start, self._rows.high[rows] - held.start
        part = self._rows.part[rows, None]
        # Only the patch columns under this window are interpolated along the rows.
        left = int(self._cols.low[columns][0])
        right = int(self._cols.high[columns][-1]) + 1
        across = (
            self._cols.low[columns] - left,
            self._cols.high[columns] - left,
            self._cols.part[columns],
        )
        cover: FloatArray | None = None
        if not held.covered[low[0] : high[-1] + 1, left:right].all():
            covered = held.covered[:, left:right].astype(np.float32)
            cover = _across(_lerp(covered[low], covered[high], part), *across)
        patches = held.similarities[:, :, left:right]
        mixed = _lerp(patches[:, low], patches[:, high], part)

        def values(query: int) -> FloatArray:
            value = _across(mixed[query], *across)
            if cover is not None:
                # Patches that no window covered hold zero: weigh them out.
                value /= np.where(cover > 0, cover, 1)
            return value

        return values, cover


class _Axis:
    """Where the pixels of one axis lie between patch centres.

    Attributes:
        low, high: int64 (pixels,) patch before and after each pixel's centre.
        part: float32 (pixels,) in 0..1, the weight of `high`.
    """

    def __init__(self, pixels: int, cells: int, cell_size: float) -> None:
        position = np.clip((np.arange(pixels) + 0.5) / cell_size - 0.5, 0, cells - 1)
        self.low = np.minimum(np.floor(position).astype(np.int64), max(cells - 2, 0))
        self.high = np.minimum(self.low + 1, cells - 1)
        self.part = (position - self.low).astype(np.float32)


def _lerp(low: FloatArray, high: FloatArray, part: FloatArray) -> FloatArray:
    mixed = high - low
    mixed *= part
    mixed += low
    return mixed


def _across(rows: FloatArray, low: np.ndarray, high: np.ndarray, part: FloatArray) -> FloatArray:
    """Interpolate (n, columns of patches) to (n, columns of pixels)."""
    return _lerp(rows[:, low], rows[:, high], part)
