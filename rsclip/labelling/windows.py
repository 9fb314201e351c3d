"""Lay windows over a grid of pixels: pure integers, no I/O.

Windows are anchored to the grid's first pixel and step by whole patches, so that overlapping
windows meet token on token. The grid is padded to a multiple of the patch and to one window at
least; the last window of a row or column is shifted inward, so every window is whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from rsclip.config import DEFAULT_OVERLAP, SegmentConfig
from rsclip.errors import OptionError
from rsclip.types import Shape, Tile, Window

__all__ = ["Grid", "choose_stride"]


@dataclass(frozen=True)
class Grid:
    """Windows over a grid of pixels.

    Attributes:
        shape: (height, width) of the grid in pixels, without padding.
        window: (height, width) of a window in pixels, a multiple of the patch.
        stride: (rows, columns) between windows in pixels, a multiple of the patch.
        patch: Side of a patch in pixels.

    Raises:
        OptionError: The window or stride is not a patch multiple, or the stride exceeds the window.
    """

    shape: Shape
    window: Shape
    stride: Shape
    patch: int

    def __post_init__(self) -> None:
        for name, sizes in (("window", self.window), ("stride", self.stride)):
            for size in sizes:
                if size <= 0 or size % self.patch:
                    raise OptionError(
                        f"{size} is not a multiple of the model's patch of {self.patch} pixels",
                        where=f"--{name}",
                        remedy=f"The nearest is {_nearest_multiple(size, self.patch)}.",
                    )
        if self.stride[0] > self.window[0] or self.stride[1] > self.window[1]:
            raise OptionError(
                f"the stride {max(self.stride)} is larger than the window {min(self.window)}",
                where="--stride",
                remedy="Pixels between windows would be lost: choose a stride up to the window.",
            )

    @property
    def padded_shape(self) -> Shape:
        """(height, width) in pixels after padding at the bottom and right."""
        height, width = (
            max(-(-size // self.patch) * self.patch, window)
            for size, window in zip(self.shape, self.window, strict=True)
        )
        return height, width

    @property
    def cells(self) -> Shape:
        """(rows, columns) of the patch grid over the padded grid."""
        height, width = self.padded_shape
        return height // self.patch, width // self.patch

    @property
    def window_cells(self) -> Shape:
        """(rows, columns) of patches in one window."""
        return self.window[0] // self.patch, self.window[1] // self.patch

    @cached_property
    def row_starts(self) -> tuple[int, ...]:
        """First pixel row of each row of windows, ascending."""
        return _starts(self.padded_shape[0], self.window[0], self.stride[0])

    @cached_property
    def col_starts(self) -> tuple[int, ...]:
        """First pixel column of each column of windows, ascending."""
        return _starts(self.padded_shape[1], self.window[1], self.stride[1])

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.row_starts) * len(self.col_starts)

    def tiles(self, first_row: int = 0) -> Iterator[Tile]:
        """Yield every tile in row-major order.

        Args:
            first_row: Number of the row of windows to begin with.
        """
        height, width = self.window
        index = first_row * len(self.col_starts)
        for row in self.row_starts[first_row:]:
            for col in self.col_starts:
                yield Tile(index, Window(row, col, height, width))
                index += 1

    def final_cell_rows(self, row_index: int) -> int:
        """Return how many patch rows no window after the given row of windows touches."""
        if row_index + 1 == len(self.row_starts):
            return self.cells[0]
        return self.row_starts[row_index + 1] // self.patch


def choose_stride(window: Shape, patch: int, *, stride: int | None, overlap: float) -> Shape:
    """Return the stride in pixels: as given, or by overlap rounded down to a patch multiple.

    Args:
        window: (height, width) in pixels.
        patch: Side of a patch in pixels.
        stride: Step in pixels along both axes; None to derive it from the overlap.
        overlap: Share of a window covered by its neighbour, 0 to 0.9.
    """
    if stride is not None:
        return stride, stride
    rows, cols = (
        # Rounding before flooring keeps 0.9 of 160 at 16 in spite of binary fractions.
        max(int(round(size * (1 - overlap), 6)) // patch * patch, patch)
        for size in window
    )
    return rows, cols


def _starts(length: int, window: int, stride: int) -> tuple[int, ...]:
    regular = range(0, length - window, stride)
    return (*regular, length - window)


def _nearest_multiple(size: int, patch: int) -> int:
    return max(round(size / patch), 1) * patch


class WindowedModel(Protocol):
    """The sizes of a model that decide where its windows lie.

    Where patches of two sizes meet in a window, the model has `window_unit` besides: windows are
    multiples of it, in pixels.
    """

    @property
    def patch(self) -> int:
        """Side of a cell of its similarities in pixels."""

    @property
    def window(self) -> Shape:
        """(height, width) in pixels that the model was trained on."""


def plan_grid(shape: Shape, model: WindowedModel, config: SegmentConfig) -> Grid:
    """Lay the windows of a configuration over a working grid.

    A window that is larger than the whole scene would be filled with reflections: it is cut to the
    scene, but not below what the model was trained on.

    Raises:
        OptionError: The window or stride does not fit the model's patch.
    """
    patch = model.patch
    window = (config.window, config.window) if config.window else model.window
    overlap = DEFAULT_OVERLAP if config.overlap is None else config.overlap
    unit = getattr(model, "window_unit", patch)

    def lay(window: Shape, stride: int | None) -> Grid:
        steps = choose_stride(window, patch, stride=stride, overlap=overlap)
        return Grid(shape, window, steps, patch)

    if unit != patch and any(side % unit for side in window):
        raise OptionError(
            f"a window of {max(window)} pixels is not whole patches of both models: multiples of "
            f"{unit} are",
            where="--window",
            remedy=f"The nearest is {_nearest_multiple(max(window), unit)}.",
        )
    grid = lay(window, config.stride)
    largest = -(-max(*shape, *model.window) // unit) * unit
    if window[0] <= largest or not config.window:
        return grid
    return lay((largest, largest), config.stride and min(config.stride, largest))
