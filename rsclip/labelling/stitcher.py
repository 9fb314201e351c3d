"""Join the windows' similarities on the patch grid, row by row.

Only the rows still open are held: the blended sum and the weights of as many patch rows as one
window is high. Memory is queries x window rows x scene columns, in patches, float32.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rsclip.config import Blend
from rsclip.labelling.windows import Grid
from rsclip.types import FloatArray, Rows, Shape, Tile

__all__ = ["Stitcher", "blend_weights"]

_HANN_FLOOR = 1e-3
_GAUSSIAN_SIGMA = 0.25  # in window sides


class Stitcher:
    """Blend overlapping windows into finished rows of the patch grid.

    Add the tiles of one row of windows, take the rows that are finished, go on with the next.

    Args:
        grid: The windows and the patch grid.
        queries: Number of channels Q.
        blend: "hann", "mean" or "gaussian" weights within a window.
        first: Number of the row of windows to begin with.
    """

    def __init__(self, grid: Grid, queries: int, blend: Blend, first: int = 0) -> None:
        self._grid = grid
        self._window_weights = blend_weights(grid.window_cells, blend)
        open_shape = (grid.window_cells[0], grid.cells[1])
        self._sum = np.zeros((queries, *open_shape), np.float32)
        self._weight = np.zeros(open_shape, np.float32)
        self._first_row = grid.row_starts[first] // grid.patch

    def add(self, tile: Tile, similarities: FloatArray) -> None:
        """Add one window to the open rows.

        Args:
            tile: A tile that starts at the first open row.
            similarities: float32 (Q, h, w) on the window's patch grid.

        Raises:
            ValueError: The shape is not the window's, or the tile starts at another row.
        """
        rows, cols = self._grid.window_cells
        expected = (len(self._sum), rows, cols)
        if similarities.shape != expected:
            raise ValueError(f"tile {tile.index}: shape {similarities.shape}, expected {expected}")
        if tile.window.row != self._first_row * self._grid.patch:
            raise ValueError(f"tile {tile.index} does not start at the first open row")
        first = tile.window.col // self._grid.patch
        columns = slice(first, first + cols)
        self._sum[:, :, columns] += similarities * self._window_weights
        self._weight[:, columns] += self._window_weights

    def take(self, stop: int) -> Rows:
        """Close the open patch rows above `stop` and return them, normalised by their weights.

        Args:
            stop: First patch row that stays open, as `Grid.final_cell_rows` says.
        """
        count = stop - self._first_row
        covered = self._weight[:count] > 0
        weight = np.where(covered, self._weight[:count], np.float32(1))
        finished: FloatArray = np.divide(self._sum[:, :count], weight, dtype=np.float32)
        for buffer in (self._sum, self._weight):
            # In place along the row axis, the last axis but one.
            buffer[..., : buffer.shape[-2] - count, :] = buffer[..., count:, :].copy()
            buffer[..., buffer.shape[-2] - count :, :] = 0
        rows = Rows(self._first_row, finished, covered)
        self._first_row = stop
        return rows

    def state(self) -> dict[str, np.ndarray]:
        """Return a copy of the open rows, which `restore` goes on from."""
        return {
            "sum": self._sum.copy(),
            "weight": self._weight.copy(),
            "first_row": np.asarray(self._first_row),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state of the same grid, queries and blend."""
        self._sum, self._weight = state["sum"], state["weight"]
        self._first_row = int(state["first_row"])


def blend_weights(shape: Shape, blend: Blend) -> FloatArray:
    """Return positive weights float32 (h, w) of the patches within a window.

    A window that reaches zero at its border would lose the scene's edge, so the Hann window is
    sampled at patch centres, which are never its zeros, and held above a floor.
    """
    rows, cols = (_profile(size, blend) for size in shape)
    return np.outer(rows, cols).astype(np.float32)


def _profile(size: int, blend: Blend) -> NDArray[np.float64]:
    centres = (np.arange(size, dtype=np.float64) + 0.5) / size
    if blend == "mean":
        return np.ones(size)
    if blend == "hann":
        return np.maximum(np.square(np.sin(np.pi * centres)), _HANN_FLOOR)
    return np.exp(-0.5 * np.square((centres - 0.5) / _GAUSSIAN_SIGMA))
