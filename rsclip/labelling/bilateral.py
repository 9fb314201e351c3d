"""Joint bilateral upsampling: a pixel takes the mean of the patches nearby that look like it.

For a pixel p and the patches q that are up to `reach` rows and columns from the one it lies in:

    value(p) = sum over q of w(p, q) s_q / sum over q of w(p, q)
    w(p, q)  = exp( -|p - q|^2 / (2 (reach / 2)^2) - mean over bands of (x_p - x_q)^2 / (2 0.1^2) )

Distances are in patches, x_p is the pixel's colour, x_q the mean colour of the patch's valid
pixels, 0 to 1. Patches that no window saw or that have no valid pixel count for nothing.

Source: Kopf, Cohen, Lischinski and Uyttendaele, Joint Bilateral Upsampling, SIGGRAPH 2007.

For a square of pixels in one patch, whose neighbours are the same, exponents and sums are products
of matrices. Squares are always the same ones, whatever window is asked for, so that the cut into
windows never changes a value.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rsclip.errors import OptionError
from rsclip.labelling.bilinear import Values
from rsclip.types import BoolArray, FloatArray, Rows, Shape, Window

__all__ = ["Guide", "JointBilateral", "parse_upsampling"]

_REACH = 3
_MAX_REACH = 10
_COLOUR_SIGMA = 0.1
_BANDS = 3
_LONGEST_SQUARE = 16  # pixels a side
# Weights held at once: 2 MB, which stay in a processor's cache.
_WEIGHTS = 1 << 19
# Exponent of a patch that counts for nothing: exp gives 0, and no product is infinite.
_NEVER = np.float32(-1e6)

Read = Callable[[Window], tuple[FloatArray, BoolArray]]


@dataclass(frozen=True, slots=True)
class Guide:
    """The image that labels are guided by.

    Attributes:
        pixels: Gives the scene's own pixels in a window: float32 (3, h, w), 0 to 1, and valid
            (h, w).
        patches: Gives the pixels of the working grid in a window of patches, P a side: float32
            (3, h P, w P) and valid (h P, w P).
    """

    pixels: Read
    patches: Read


def parse_upsampling(text: str) -> int:
    """Return the reach in patches of "jbu" or "jbu:REACH", and 0 of "bilinear".

    Raises:
        OptionError: It is none of these, or the reach is out of range.
    """
    kind, colon, number = (part.strip() for part in text.partition(":"))
    if kind == "bilinear" and not colon:
        return 0
    number = number if colon else str(_REACH)
    if kind != "jbu" or not number.isdecimal() or not 1 <= int(number) <= _MAX_REACH:
        raise OptionError(
            f"{text!r} is no upsampling",
            where="--upsample",
            remedy=f"It is bilinear, jbu, or jbu:5, with a reach of 1 to {_MAX_REACH} patches.",
        )
    return int(number)


class JointBilateral:
    """Take means of nearby patches, weighed by distance and colour.

    Args:
        shape: (height, width) of the scene in pixels.
        cells: (rows, columns) of the patch grid.
        cell_size: (rows, columns) of scene pixels that one patch covers; fractions are fine.
        guide: Gives the image.
        reach: In patches.

    Attributes:
        low, high: int64 (height,) first and last patch row that each row of pixels needs.
    """

    def __init__(
        self,
        shape: Shape,
        cells: Shape,
        cell_size: tuple[float, float],
        guide: Guide,
        reach: int,
    ) -> None:
        self._rows = _Axis(shape[0], cells[0], cell_size[0], reach)
        self._cols = _Axis(shape[1], cells[1], cell_size[1], reach)
        self.low, self.high = self._rows.low, self._rows.high
        self._guide, self._reach = guide, reach
        steps = np.arange(-reach, reach + 1, dtype=np.float32) / np.float32(reach / 2)
        # Rows and columns from a pixel's own patch to those around it.
        self._steps = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)

    def values(self, held: Rows, window: Window) -> tuple[Values, FloatArray | None]:
        """Return the similarities of pixels and how far they are known, as `Bilinear` does."""
        rows, cols = self._rows, self._cols
        top, bottom = rows.squares(window.row, window.row_stop)
        left, right = cols.squares(window.col, window.col_stop)
        row, col = rows.starts[top], cols.starts[left]
        around = Window(row, col, rows.starts[bottom] - row, cols.starts[right] - col)
        image = np.moveaxis(self._guide.pixels(around)[0], 0, -1)
        image = image / np.float32(_COLOUR_SIGMA * _BANDS**0.5)
        near = self._near(held, around)
        found = np.empty((near.shape[-1] - 4, *around.shape), np.float32)
        for square in range(top, bottom):
            lines = slice(rows.starts[square], rows.starts[square + 1])
            first_near = int(rows.own[lines.start] - rows.own[row])
            near_lines = near[first_near : first_near + 2 * self._reach + 1]
            size = len(self._steps) * cols.longest * (lines.stop - lines.start)
            step = max(_WEIGHTS // size, 1)
            for first in range(left, right, step):
                some = slice(first, min(first + step, right))
                place = np.s_[
                    lines.start - row : lines.stop - row,
                    cols.starts[some.start] - col : cols.starts[some.stop] - col,
                ]
                found[:, *place] = self._sums(image[place], near_lines, lines, some, col)
        total = found[-1]
        found[:-1] /= np.where(total > 0, total, np.float32(1))
        found = found[
            :, window.row - row : window.row_stop - row, window.col - col : window.col_stop - col
        ]
        return lambda query: found[query], None if (found[-1] > 0).all() else found[-1]

    def _sums(
        self, image: FloatArray, near: FloatArray, lines: slice, squares: slice, origin: int
    ) -> FloatArray:
        """Return weighted sums (Q + 1, n, w) of a row of squares, the last one that of weights.

        Args:
            image: Scaled colours (n, w, 3).
            near: As of `_near`, the patch rows within reach.
            lines: The rows of pixels.
            squares: Which squares of the columns.
            origin: Column of pixels whose patch's neighbours begin `near`.
        """
        cols = self._cols
        starts = np.array(cols.starts[squares.start : squares.stop + 1])
        columns = starts[:-1, None] + np.arange(cols.longest)
        whole = columns < starts[1:, None]
        columns = np.minimum(columns, starts[1:, None] - 1)
        own = np.empty((len(columns), len(image), cols.longest, 7), np.float32)
        own[..., :3] = np.moveaxis(image[:, columns - starts[0]], 1, 0)
        own[..., 3] = self._rows.offset[lines, None]
        own[..., 4] = cols.offset[columns][:, None]
        own[..., 5] = -0.5 * np.square(own[..., :5]).sum(axis=-1)
        own[..., 6] = 1
        count = len(self._steps)
        first = cols.own[starts[:-1]] - cols.own[origin]
        width = np.arange(2 * self._reach + 1)
        others = near[width[:, None], (first[:, None] + width)[:, None]]
        others = others.reshape(len(columns), count, -1)
        theirs = np.empty((*others.shape[:2], 7), np.float32)
        theirs[..., :3] = others[..., :3]
        theirs[..., 3:5] = self._steps
        theirs[..., 5] = 1
        theirs[..., 6] = others[..., 3] - 0.5 * np.square(self._steps).sum(axis=-1)
        weights = own.reshape(len(columns), -1, 7) @ theirs.swapaxes(1, 2)
        np.exp(weights, out=weights)
        sums = (weights @ others[..., 4:]).reshape(*own.shape[:3], -1)
        sums = sums.transpose(3, 1, 0, 2).reshape(sums.shape[-1], len(image), -1)
        found: FloatArray = sums[..., whole.ravel()]
        return found

    def _near(self, held: Rows, around: Window) -> FloatArray:
        """Return what the patches within reach of some pixels weigh and say.

        Returns:
            float32 (h, w, 4 + Q + 1): scaled colour, what is added to the exponent, similarities,
            1. Beyond the patch grid are patches that count for nothing.
        """
        top, left = self._rows.own[around.row], self._cols.own[around.col]
        first = np.array([top, left]) - self._reach
        last = np.array([self._rows.own[around.row_stop - 1], self._cols.own[around.col_stop - 1]])
        near = np.zeros(
            (*(last + self._reach + 1 - first), 4 + len(held.similarities) + 1), np.float32
        )
        row, col = np.maximum(first, 0).tolist()
        box = Window(
            row, col,
            int(self._rows.high[around.row_stop - 1]) + 1 - row,
            int(self._cols.high[around.col_stop - 1]) + 1 - col,
        )  # fmt: skip
        known, colours = _means(*self._guide.patches(box), box.shape)
        rows = slice(row - held.start, box.row_stop - held.start)
        known &= held.covered[rows, col : box.col_stop]
        colours /= np.float32(_COLOUR_SIGMA * _BANDS**0.5)
        near[..., 3] = _NEVER
        inside = near[row - first[0] :, col - first[1] :][: box.height, : box.width]
        inside[..., :3] = colours
        inside[..., 3] = np.where(known, -0.5 * np.square(colours).sum(axis=-1), _NEVER)
        inside[..., 4:-1] = np.moveaxis(held.similarities[:, rows, col : box.col_stop], 0, -1)
        near[..., -1] = 1
        return near


class _Axis:
    """Which pixels of one axis lie in which patch, and in which square.

    Attributes:
        own: int64 (pixels,) patch of each pixel's centre.
        low, high: int64 (pixels,) first and last patch within reach.
        offset: float32 (pixels,) from the patch's centre to the pixel's, in units of the spread.
        starts: First pixel of each square, and the end.
        longest: Pixels of the longest square.
    """

    def __init__(self, pixels: int, cells: int, cell_size: float, reach: int) -> None:
        place = (np.arange(pixels) + 0.5) / cell_size
        self.own = np.clip(np.floor(place).astype(np.int64), 0, cells - 1)
        self.low = np.maximum(self.own - reach, 0)
        self.high = np.minimum(self.own + reach, cells - 1)
        self.offset = ((place - 0.5 - self.own) / (reach / 2)).astype(np.float32)
        within = np.arange(pixels) - np.searchsorted(self.own, self.own)
        starts = np.flatnonzero(within % _LONGEST_SQUARE == 0)
        self.starts: list[int] = [*starts.tolist(), pixels]
        self.longest = int(np.diff(self.starts).max())

    def squares(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first square of some pixels, and the first one after them."""
        return bisect_right(self.starts, start) - 1, bisect_left(self.starts, stop)


def _means(image: FloatArray, valid: BoolArray, shape: Shape) -> tuple[BoolArray, FloatArray]:
    """Return which patches (h, w) have valid pixels, and those pixels' mean colour (h, w, 3)."""
    side = valid.shape[0] // shape[0]

    def sums(plane: np.ndarray) -> FloatArray:
        # A patch's pixels in a row, so that they always add up in one order.
        blocks = plane.reshape(shape[0], side, shape[1], side).transpose(0, 2, 1, 3)
        total: FloatArray = blocks.reshape(*shape, -1).sum(axis=-1, dtype=np.float32)
        return total

    count = sums(valid)
    colours = np.stack([sums(np.where(valid, plane, np.float32(0))) for plane in image], axis=-1)
    colours /= np.maximum(count, np.float32(1))[..., None]
    return count > 0, colours
