"""What goes in comes out: the stitcher against whole-canvas arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsclip.labelling.stitcher import Stitcher, blend_weights
from rsclip.labelling.windows import Grid

PATCH = 4


@st.composite
def grids(draw):
    window = (draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    stride = tuple(draw(st.integers(1, size)) * PATCH for size in window)
    shape = (draw(st.integers(1, 90)), draw(st.integers(1, 90)))
    return Grid(shape, (window[0] * PATCH, window[1] * PATCH), stride, PATCH)


def stitch(grid, queries, predict, blend, skip=()):
    """Run every tile through the stitcher; return (Q, rows, cols) and the cover."""
    stitcher = Stitcher(grid, queries, blend)
    tiles = list(grid.tiles())
    parts = []
    for index, start in enumerate(grid.row_starts):
        for tile in tiles:
            if tile.window.row == start and tile.index not in skip:
                stitcher.add(tile, predict(tile))
        parts.append(stitcher.take(grid.final_cell_rows(index)))
    starts = np.cumsum([0, *(part.covered.shape[0] for part in parts)])
    assert [part.start for part in parts] == list(starts[:-1])
    similarities = np.concatenate([part.similarities for part in parts], axis=1)
    return similarities, np.concatenate([part.covered for part in parts])


def cells_of(tile, grid):
    row, col = tile.window.row // PATCH, tile.window.col // PATCH
    rows, cols = grid.window_cells
    return slice(row, row + rows), slice(col, col + cols)


@settings(deadline=None, max_examples=60)
@given(grids(), st.sampled_from(["hann", "mean", "gaussian"]), st.integers(0, 2**32 - 1))
def test_an_image_that_passes_through_comes_back(grid, blend, seed):
    """The trivial predictor x + 1 of the image itself: any blend of equal values is the value."""
    image = np.random.default_rng(seed).normal(size=(3, *grid.cells)).astype(np.float32)
    result, covered = stitch(
        grid, 3, lambda tile: image[(slice(None), *cells_of(tile, grid))] + 1, blend
    )
    assert covered.all()
    np.testing.assert_allclose(result, image + 1, rtol=0, atol=2e-6)


@settings(deadline=None, max_examples=40)
@given(grids(), st.sampled_from(["hann", "mean", "gaussian"]), st.integers(0, 2**32 - 1))
def test_different_windows_blend_as_on_a_whole_canvas(grid, blend, seed):
    rng = np.random.default_rng(seed)
    rows, cols = grid.window_cells
    predictions = rng.normal(size=(len(grid), 2, rows, cols)).astype(np.float32)
    skip = set(rng.choice(len(grid), size=len(grid) // 3, replace=False).tolist())
    result, covered = stitch(grid, 2, lambda tile: predictions[tile.index], blend, skip)
    total = np.zeros((2, *grid.cells))
    weight = np.zeros(grid.cells)
    for tile in grid.tiles():
        if tile.index not in skip:
            where = cells_of(tile, grid)
            weights = blend_weights(grid.window_cells, blend)
            total[(slice(None), *where)] += predictions[tile.index] * weights
            weight[where] += weights
    np.testing.assert_array_equal(covered, weight > 0)
    expected = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("blend", ["hann", "mean", "gaussian"])
@pytest.mark.parametrize("size", [1, 2, 7, 14, 64])
def test_weights_are_positive_to_the_border(blend, size):
    weights = blend_weights((size, 3), blend)
    assert weights.min() > 0
    assert weights.argmax() // 3 in (size // 2, (size - 1) // 2, 0)


def test_a_tile_of_closed_rows_is_refused():
    grid = Grid((40, 8), (8, 8), (8, 8), PATCH)
    tiles = list(grid.tiles())
    stitcher = Stitcher(grid, 1, "mean")
    stitcher.take(grid.final_cell_rows(0))
    with pytest.raises(ValueError, match="tile 0 does not start"):
        stitcher.add(tiles[0], np.zeros((1, 2, 2), np.float32))
    with pytest.raises(ValueError, match="expected"):
        stitcher.add(tiles[1], np.zeros((1, 3, 2), np.float32))
