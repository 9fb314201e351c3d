"""A scene cut into bands: each row of pixels in one, with all windows that it depends on."""

from hypothesis import given
from hypothesis import strategies as st

from rsclip.labelling.bands import Band, cut_bands
from rsclip.labelling.bilinear import Bilinear
from rsclip.labelling.windows import Grid

PATCH = 8


def of_axis(axis):
    """Return the rows of patches that rows of pixels need, as `Labeller.cells_of` does."""
    return lambda start, stop: (int(axis.low[start]), int(axis.high[stop - 1]) + 1)


def cut(height, working, stride, workers, window=64):
    grid = Grid((working, 70), (window, window), (stride, stride), PATCH)
    size = PATCH * height / working
    cells_of = of_axis(Bilinear((height, 70), grid.cells, (size, size)))
    return grid, cells_of, cut_bands(grid, height, cells_of, workers)


@given(st.integers(1, 9000), st.sampled_from([0.5, 1, 1.7]), st.integers(1, 8), st.integers(1, 9))
def test_bands_have_each_row_once_and_all_windows_it_needs(height, scale, stride, workers):
    working = max(round(height / scale), 1)
    grid, cells_of, bands = cut(height, working, stride * PATCH, workers)
    windows = len(grid.row_starts)
    for name, stop in (("rows", height), ("own", windows)):
        spans = [getattr(band, name) for band in bands]
        assert [span[0] for span in spans] == [0, *(span[1] for span in spans[:-1])]
        assert spans[-1][1] == stop
        assert all(first < last for first, last in spans)
    for band in bands:
        assert band.windows[0] <= band.own[0] < band.own[1] <= band.windows[1]
        first, last = cells_of(*band.rows)
        needed = [
            number
            for number, start in enumerate(grid.row_starts)
            if start < last * PATCH and start + grid.window[0] > first * PATCH
        ]
        assert band.windows == (needed[0], needed[-1] + 1)
    if workers == 1:
        assert bands == [Band.whole(grid, height)]


def test_as_many_bands_as_workers_until_one_costs_more_than_it_gains():
    for height, workers, expected in ((64, 4, 1), (600, 2, 2), (600, 8, 2), (6000, 8, 8)):
        assert len(cut(height, height, 32, workers)[2]) == expected


def test_a_joint_runs_as_few_windows_twice_as_it_can():
    # Between two rows of windows that hardly overlap, one row more of them is enough.
    for stride, twice in ((32, 2), (56, 1), (64, 1)):
        _, _, (upper, lower) = cut(1000, 1000, stride, 2)
        assert upper.windows[1] - lower.windows[0] == twice


def test_more_bands_than_workers_where_they_cost_little():
    _, _, bands = cut(9000, 9000, 32, 2)
    windows = sum(band.windows[1] - band.windows[0] for band in bands)
    own = sum(band.own[1] - band.own[0] for band in bands)
    assert len(bands) == 8
    assert windows <= own * 1.06
