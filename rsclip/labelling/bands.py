"""A scene cut into bands of pixel rows that are labelled apart, each by the windows it needs.

The windows that two bands need are run twice, so that every label sees what it would see in one run
over the whole scene. A joint lies where these are fewest.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from rsclip.labelling.windows import Grid

__all__ = ["Band", "cut_bands"]

Span = tuple[int, int]
"""The first, and the first one after them."""

# Of all windows: how many may be run twice so that there are more bands than workers, which share
# out better and of which less is lost with a worker.
_SPARE = 0.05
_BANDS_A_WORKER = 4
# A band has so many times the rows of windows that its joint runs twice: shorter ones cost more
# than another worker gains.
_LEAST = 4


@dataclass(frozen=True, slots=True)
class Band:
    """Consecutive rows of pixels.

    Attributes:
        rows: Of pixels.
        windows: Rows of windows that labels there depend on.
        own: Rows of windows that count as its own; each is one band's.
    """

    rows: Span
    windows: Span
    own: Span

    @classmethod
    def whole(cls, grid: Grid, height: int) -> "Band":
        """Return a scene of one band."""
        windows = 0, len(grid.row_starts)
        return cls((0, height), windows, windows)


def cut_bands(
    grid: Grid, height: int, cells_of: Callable[[int, int], Span], workers: int
) -> list[Band]:
    """Cut a scene into bands.

    Args:
        grid: Its windows.
        height: Its rows of pixels.
        cells_of: Gives the rows of patches that some rows of pixels need.
        workers: How many work at a time.

    Returns:
        As many as the workers or a small multiple of it; fewer where the scene is too low.
    """

    def windows_of(start: int, stop: int) -> Span:
        first, last = (row * grid.patch for row in cells_of(start, stop))
        # Windows that end after the first patch begins, and begin before the last one ends.
        return bisect_right(grid.row_starts, first - grid.window[0]), bisect_left(
            grid.row_starts, last
        )

    def doubled(row: int) -> int:
        return windows_of(0, row)[1] - windows_of(row, height)[0]

    scale = height / grid.shape[0]

    def joint(number: int, count: int) -> int:
        ideal = round(height * number / count)
        steps = grid.stride[0] // grid.patch
        near = {
            min(max(ideal + round(step * grid.patch * scale), 1), height - 1)
            for step in range(-steps, steps + 1)
        }
        return min(near, key=lambda row: (doubled(row), abs(row - ideal), row))

    windows = len(grid.row_starts)
    if workers < 2 or height < 2:
        return [Band.whole(grid, height)]
    twice = max(doubled(joint(1, 2)), 1)
    count = min(int(windows * _SPARE / twice) + 1, _BANDS_A_WORKER * workers)
    count = min(max(count // workers, 1) * workers, windows // (_LEAST * twice))
    joints = sorted({0, *(joint(number, count) for number in range(1, count)), height})
    rows = list(itertools.pairwise(joints))
    spans = [windows_of(*each) for each in rows]
    middles = [(upper[1] + lower[0]) // 2 for upper, lower in itertools.pairwise(spans)]
    own = list(zip([0, *middles], [*middles, windows], strict=True))
    return [Band(*each) for each in zip(rows, spans, own, strict=True)]
