"""The features of labelled patches, as `segment` would blend them from overlapping windows.

Only windows that hold labels are encoded. A label's patches are chosen first, without an image;
each counts by how much of it the label covers, and its feature is interpolated, as labels of
pixels are, at the middle of what is covered: a label that covers a corner of a patch is no label
of the whole.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from rsclip.config import SegmentConfig
from rsclip.labelling.stitcher import blend_weights
from rsclip.labelling.windows import Grid, plan_grid
from rsclip.methods.segmenter import Segmenter
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import FloatArray, Window

__all__ = ["Patches", "collect", "joined"]

Index = NDArray[np.int64]

MOST_OF_ONE = 64
"""Patches that are taken of one label, drawn at random where it covers more."""
MOST = 20_000
"""Patches of all labels of a scene; where there are more labels, one of each."""
_BLOCK = 128  # patches a side that a label is drawn on at once
_SEED = 0


@dataclass(frozen=True, slots=True)
class Patches:
    """Labelled patches.

    Attributes:
        features: float32 (N, D).
        similarities: float32 (N, Q).
        cover: float32 (N,), share of the patch that the label covers.
        label: int64 (N,), number of the label.
        windows: Windows that were encoded.
    """

    features: FloatArray
    similarities: FloatArray
    cover: FloatArray
    label: Index
    windows: int


def joined(parts: Sequence[Patches]) -> Patches:
    """Return the patches of several scenes as one."""
    return Patches(
        np.concatenate([each.features for each in parts]),
        np.concatenate([each.similarities for each in parts]),
        np.concatenate([each.cover for each in parts]),
        np.concatenate([each.label for each in parts]),
        sum(each.windows for each in parts),
    )


def collect(
    scene: Scene,
    shapes: NDArray[Any],
    segmenter: Segmenter,
    config: SegmentConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Patches:
    """Encode the windows of a scene that hold labels.

    Args:
        scene: An open scene.
        shapes: (P,) labels in pixels of its working grid; those outside give no patch.
        segmenter: The model.
        config: Windows, blend and stretch.
        progress: Called with (windows done, windows in all).

    Raises:
        OptionError: The windows do not fit the model.
        ReadError: Pixels cannot be read.
    """
    grid = plan_grid(scene.working_shape, segmenter, config)
    most = max(min(MOST_OF_ONE, MOST // max(len(shapes), 1)), 1)
    found = [_covered(shape, number, grid, most) for number, shape in enumerate(shapes)]
    middles = np.concatenate([middle for middle, _ in found]) if found else np.empty((0, 2))
    cover = np.concatenate([share for _, share in found]) if found else np.empty(0)
    label = np.repeat(np.arange(len(found)), [len(share) for _, share in found])
    corners, parts = _between(middles, grid)
    cells, place = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    place = place.reshape(corners.shape[:2])
    sums = _Sums(grid, cells, segmenter, config)
    sums.run(scene, progress)
    # Corners that no window saw are weighed out, as the labeller does.
    parts = parts * (sums.weight[place] > 0)
    seen = parts.sum(axis=1) > 0.5
    parts, place = parts[seen] / parts[seen].sum(axis=1, keepdims=True), place[seen]
    features, similarities = (
        np.einsum("nk,nkd->nd", parts, sums.mean(each)[place]).astype(np.float32)
        for each in (sums.features, sums.similarities)
    )
    return Patches(
        features, similarities, cover[seen].astype(np.float32), label[seen], sums.windows
    )


def _covered(
    shape: Any, number: int, grid: Grid, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a label covers, patch by patch: middles (n, 2) in patches, and shares (n,)."""
    height, width = grid.shape
    middles, shares = [], []
    if shapely.intersects(shape, shapely.box(0, 0, width, height)):
        for block in _blocks(shape, grid):
            drawn = rasterize(
                [shape], block.shape, transform=Affine.translation(block.col, block.row),
                dtype="uint8",
            )  # fmt: skip
            middle, share = _by_patch(drawn, block, grid.patch)
            middles.append(middle)
            shares.append(share)
    middle = np.concatenate(middles) if middles else np.empty((0, 2))
    share = np.concatenate(shares) if shares else np.empty(0)
    if not len(share):
        # A point, or what lies between the centres of pixels.
        x, y = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
        if not (0 <= x < width and 0 <= y < height):
            return middle, share
        return np.array([[y, x]]) / grid.patch, np.array([1 / grid.patch**2])
    if len(share) > most:
        chance = np.random.default_rng([_SEED, number])
        kept = np.sort(chance.choice(len(share), most, replace=False, p=share / share.sum()))
        middle, share = middle[kept], share[kept]
    return middle, share


def _blocks(shape: Any, grid: Grid) -> Iterator[Window]:
    """Yield the parts of the grid, in whole patches, that a label may cover."""
    left, top, right, bottom = shapely.bounds(shape)
    step = _BLOCK * grid.patch

    def starts(low: float, high: float, size: int) -> range:
        return range(max(int(low) // grid.patch * grid.patch, 0), min(int(high) + 1, size), step)

    for row in starts(top, bottom, grid.shape[0]):
        for col in starts(left, right, grid.shape[1]):
            yield Window(
                row, col,
                min(step, grid.shape[0] - row, int(bottom) + 1 - row),
                min(step, grid.shape[1] - col, int(right) + 1 - col),
            )  # fmt: skip


def _by_patch(
    drawn: NDArray[np.uint8], block: Window, patch: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return middle (n, 2) and share (n,) of what is drawn in each patch, in patches."""
    rows, cols = np.nonzero(drawn)
    cell = np.stack([(rows + block.row) // patch, (cols + block.col) // patch], axis=1)
    unique, place = np.unique(cell, axis=0, return_inverse=True)
    place = place.reshape(-1)
    count = np.bincount(place, minlength=len(unique))
    middle = [
        np.bincount(place, at + start + 0.5, len(unique)) / np.maximum(count, 1) / patch
        for at, start in ((rows, block.row), (cols, block.col))
    ]
    return np.stack(middle, axis=1), count / patch**2


def _between(middles: NDArray[np.float64], grid: Grid) -> tuple[Index, NDArray[np.float64]]:
    """Return the four patches around places (n, 2): cells (n, 4, 2) and their parts (n, 4)."""
    last = np.array(grid.cells) - 1
    position = np.clip(middles - 0.5, 0, last)
    low = np.minimum(np.floor(position), np.maximum(last - 1, 0)).astype(np.int64)
    part = position - low
    cells, parts = [], []
    for down in (0, 1):
        for right in (0, 1):
            step = np.array([down, right])
            cells.append(np.minimum(low + step, last))
            parts.append(np.where(step, part, 1 - part).prod(axis=1))
    return np.stack(cells, axis=1), np.stack(parts, axis=1)


class _Sums:
    """Blended features of some cells of the patch grid; memory is theirs alone."""

    def __init__(
        self, grid: Grid, cells: Index, segmenter: Segmenter, config: SegmentConfig
    ) -> None:
        dim = segmenter.text_features.shape[1]
        self._grid, self._cells, self._segmenter, self._config = grid, cells, segmenter, config
        self.features = np.zeros((len(cells), dim), np.float32)
        self.similarities = np.zeros((len(cells), segmenter.queries), np.float32)
        self.weight = np.zeros(len(cells), np.float32)
        self.windows = 0

    def mean(self, sums: FloatArray) -> FloatArray:
        """Return sums, divided by the weights."""
        weight = np.maximum(self.weight, 1e-12)[:, None]
        mean: FloatArray = np.divide(sums, weight, dtype=np.float32)
        return mean

    def run(self, scene: Scene, progress: Callable[[int, int], None] | None) -> None:
        """Encode every window that holds one of the cells."""
        radiometry = fit(scene, self._config.stretch)
        wanted = self._windows()
        waiting: list[tuple[Window, Index, FloatArray]] = []
        for done, (window, inside) in enumerate(wanted, 1):
            pixels, valid = scene.read(window)
            if valid.any():
                waiting.append((window, inside, radiometry.apply(pixels, valid)))
            if waiting and (len(waiting) == self._segmenter.batch_size or done == len(wanted)):
                self._add(waiting)
                waiting = []
            if progress is not None:
                progress(done, len(wanted))

    def _windows(self) -> list[tuple[Window, Index]]:
        """Return the windows that hold cells, row by row, each with the numbers of its cells."""
        grid = self._grid
        found: dict[tuple[int, int], list[int]] = {}
        spans = [
            _span(self._cells[:, axis], starts, grid.window_cells[axis], grid.patch)
            for axis, starts in enumerate((grid.row_starts, grid.col_starts))
        ]
        for number in range(len(self._cells)):
            for row in range(*spans[0][number]):
                for col in range(*spans[1][number]):
                    found.setdefault((row, col), []).append(number)
        return [
            (Window(grid.row_starts[row], grid.col_starts[col], *grid.window), np.array(inside))
            for (row, col), inside in sorted(found.items())
        ]

    def _add(self, waiting: Sequence[tuple[Window, Index, FloatArray]]) -> None:
        images = np.stack([image for _, _, image in waiting])
        features, similarities = self._segmenter.patches(images)
        weights = blend_weights(self._grid.window_cells, self._config.blend)
        patch = self._grid.patch
        for (window, inside, _), feature, similarity in zip(
            waiting, features, similarities, strict=True
        ):
            rows, cols = (self._cells[inside] - (window.row // patch, window.col // patch)).T
            weight = weights[rows, cols]
            self.features[inside] += weight[:, None] * feature[rows, cols]
            self.similarities[inside] += weight[:, None] * similarity[rows, cols]
            self.weight[inside] += weight
        self.windows += len(waiting)


def _span(cells: Index, starts: tuple[int, ...], length: int, patch: int) -> list[tuple[int, int]]:
    """Return, for cells along one axis, the first window that holds each and one past the last."""
    first = np.array(starts) // patch
    low = np.searchsorted(first, cells - length, side="right")
    high = np.searchsorted(first, cells, side="right")
    return list(zip(low.tolist(), high.tolist(), strict=True))
