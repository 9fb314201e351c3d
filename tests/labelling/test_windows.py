"""Windows cover every pixel, are whole, lie on the patch grid and inside the padded scene."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.errors import OptionError
from rsclip.labelling.windows import Grid, choose_stride

patches = st.sampled_from([4, 8, 14, 16, 32])


@st.composite
def grids(draw):
    patch = draw(patches)
    window = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    stride = tuple(draw(st.integers(1, size)) * patch for size in window)
    shape = (draw(st.integers(1, 700)), draw(st.integers(1, 700)))
    return Grid(shape, (window[0] * patch, window[1] * patch), stride, patch)


@given(grids())
def test_windows_cover_the_scene_and_stay_inside_the_padding(grid):
    height, width = grid.padded_shape
    assert height >= grid.shape[0]
    assert width >= grid.shape[1]
    # Padding is never more than the patch and the window ask for.
    assert height < max(grid.shape[0] + grid.patch, grid.window[0] + 1)
    tiles = list(grid.tiles())
    assert len(tiles) == len(grid)
    assert [tile.index for tile in tiles] == list(range(len(grid)))
    for starts, size, window, stride in (
        (grid.row_starts, height, grid.window[0], grid.stride[0]),
        (grid.col_starts, width, grid.window[1], grid.stride[1]),
    ):
        assert starts[0] == 0
        assert starts[-1] + window == size
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert all(0 < gap <= stride for gap in gaps)
        # Only the last window is shifted inward.
        assert all(gap == stride for gap in gaps[:-1])
        assert all(start % grid.patch == 0 for start in starts)


@given(grids())
def test_final_rows_grow_to_the_whole_grid(grid):
    finals = [grid.final_cell_rows(index) for index in range(len(grid.row_starts))]
    assert finals == sorted(set(finals))
    assert finals[-1] == grid.cells[0]
    for index, final in enumerate(finals[:-1]):
        assert final * grid.patch == grid.row_starts[index + 1]


@pytest.mark.parametrize(
    ("window", "patch", "overlap", "stride"),
    [
        (224, 16, 0.5, 112),
        (224, 16, 0.25, 160),  # 168 rounded down to a patch multiple
        (224, 14, 0.5, 112),
        (160, 16, 0.9, 16),  # 16.000000000000004 in binary fractions
        (64, 8, 0.0, 64),
        (32, 32, 0.9, 32),  # never less than one patch
    ],
)
def test_stride_from_overlap(window, patch, overlap, stride):
    assert choose_stride((window, window), patch, stride=None, overlap=overlap) == (stride, stride)


def test_a_window_off_the_patch_names_the_nearest():
    with pytest.raises(OptionError, match=r"window: 230 .* 16 pixels\. The nearest is 224\."):
        Grid((500, 500), (230, 230), (112, 112), 16)
    with pytest.raises(OptionError, match=r"stride: 5 .* The nearest is 16\."):
        Grid((500, 500), (224, 224), (5, 5), 16)


def test_a_stride_above_the_window_is_refused():
    with pytest.raises(OptionError, match="stride 240 is larger than the window 224"):
        Grid((500, 500), (224, 224), (240, 240), 16)
