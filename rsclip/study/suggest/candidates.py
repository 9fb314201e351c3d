"""Places of a scene that a label could be asked of: squares of patches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.config import SegmentConfig
from rsclip.labelling.windows import Grid, plan_grid
from rsclip.methods.segmenter import Segmenter
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import FloatArray, Window
from rsclip.words.class_scores import Layout

__all__ = ["MOST", "Candidates", "find_candidates"]

MOST = 5_000
"""Places of a scene that are kept, drawn at random, and as many near labels: memory does not grow
with it."""
_LEAST_ALIKE = 0.3
_SEED = 0

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Squares of `side` pixels on the working grid.

    Attributes:
        places: int64 (N, 2), row and column of the first pixel.
        features: float32 (N, D), unit.
        guess: int64 (N,), position of the likeliest class.
        margin: float32 (N,), the likeliest class's probability less the second's, 0 to 1.
        alike: float32 (N,), 0 to 1: how much its patches resemble one another; less 1 where the
            model gives them different classes.
        label: int64 (N,), number of a label that lies at most its side away; -1 without one.
    """

    places: Index
    features: FloatArray
    guess: Index
    margin: FloatArray
    alike: FloatArray
    label: Index

    def of(self, which: Index) -> "Candidates":
        """Return some of them."""
        return Candidates(*(getattr(self, name)[which] for name in self.__slots__))

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Which are of one class and much alike: the others may hold the edge of something."""
        of_one = self.alike > 0
        if not of_one.any():
            return of_one
        clear: NDArray[np.bool_] = self.alike >= np.quantile(self.alike[of_one], _LEAST_ALIKE)
        return clear

    def squares(self, side: int) -> NDArray[Any]:
        """Return them as polygons (x, y) in pixels of the working grid."""
        top, left = self.places.T
        squares: NDArray[Any] = shapely.box(left, top, left + side, top + side)
        return squares


def find_candidates(
    scene: Scene,
    segmenter: Segmenter,
    layout: Layout,
    config: SegmentConfig,
    cells: int,
    labels: NDArray[Any],
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Return places of a scene, of one class and not; windows lie side by side.

    Args:
        scene: An open scene.
        segmenter: The model.
        layout: Which queries speak for which class, and how.
        config: Windows, stretch and logit scale.
        cells: Side of a place in patches.
        labels: Geometries in pixels of the working grid: labels that there are.
        progress: Called with (windows done, windows in all).

    Raises:
        OptionError: The windows do not fit the model.
        ReadError: Pixels cannot be read.
    """
    grid = plan_grid(scene.working_shape, segmenter, config.replace(stride=None, overlap=0.0))
    assert config.logit_scale is not None
    scale = np.float32(config.logit_scale)
    side, tree = cells * segmenter.patch, shapely.STRtree(labels)
    chance = np.random.default_rng(_SEED)
    none = np.empty(0, np.int64)
    empty = np.empty((0, segmenter.text_features.shape[1]), np.float32)
    found = Candidates(none.reshape(0, 2), empty, none, empty[:, 0], empty[:, 0], none)
    drawn = np.empty(0)
    for windows, images, valid in _batches(scene, grid, segmenter.batch_size, config, progress):
        new = _of_windows(windows, images, valid, segmenter, layout, scale, cells)
        squares, label = tree.query(new.squares(side), predicate="dwithin", distance=side)
        new.label[squares] = label
        found = _joined(found, new)
        drawn = np.concatenate([drawn, chance.random(len(new.label))])
        order = np.argsort(drawn, kind="stable")
        near = found.label[order] >= 0
        kept = np.sort(np.concatenate([order[near][:MOST], order[~near][:MOST]]))
        found, drawn = found.of(kept), drawn[kept]
    return found


def _joined(one: Candidates, other: Candidates) -> Candidates:
    return Candidates(
        *(
            np.concatenate([getattr(one, name), getattr(other, name)])
            for name in Candidates.__slots__
        )
    )


def _batches(
    scene: Scene,
    grid: Grid,
    size: int,
    config: SegmentConfig,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[list[Window], FloatArray, NDArray[np.bool_]]]:
    radiometry = fit(scene, config.stretch)
    windows: list[Window] = []
    images, valids = [], []
    for done, tile in enumerate(grid.tiles(), 1):
        # What hangs over mirrors the scene and is no place of it.
        inside = scene.in_area(tile.window)
        inside[max(scene.working_shape[0] - tile.window.row, 0) :] = False
        inside[:, max(scene.working_shape[1] - tile.window.col, 0) :] = False
        if inside.any():
            pixels, valid = scene.read(tile.window)
            inside &= valid
        if inside.any():
            windows.append(tile.window)
            images.append(radiometry.apply(pixels, valid))
            valids.append(inside)
        if windows and (len(windows) == size or done == len(grid)):
            yield windows, np.stack(images), np.stack(valids)
            windows, images, valids = [], [], []
        if progress is not None:
            progress(done, len(grid))
    if windows:
        yield windows, np.stack(images), np.stack(valids)


def _of_windows(
    windows: list[Window],
    images: FloatArray,
    valid: NDArray[np.bool_],
    segmenter: Segmenter,
    layout: Layout,
    scale: np.float32,
    cells: int,
) -> Candidates:
    """Return the places of windows that have data."""
    features, similarities = segmenter.patches(images)
    probabilities = _probabilities(similarities, layout, scale)
    best = probabilities.argmax(-1)
    patch = segmenter.patch
    whole = valid.reshape(
        len(valid), valid.shape[1] // patch, patch, valid.shape[2] // patch, patch
    ).all((2, 4))
    # A place is what the mean of its patches says.
    features, probabilities = (_pooled(each, cells) for each in (features, probabilities))
    two = np.partition(probabilities, -2, axis=-1)
    seen = _pooled(np.asarray(whole, np.float32)[..., None], cells)[..., 0] > 0.999
    of_one = np.ones_like(seen)
    rows, cols = seen.shape[1:]
    for down, right in np.ndindex(cells, cells):
        of_one &= best[:, down : down + rows, right : right + cols] == best[:, :rows, :cols]
    window, row, col = np.nonzero(seen)
    starts = np.array([(each.row, each.col) for each in windows])
    features = features[seen]
    # The mean of unlike unit vectors is short.
    alike = np.linalg.norm(features, axis=-1)
    return Candidates(
        starts[window] + np.stack([row, col], axis=1) * patch,
        features / np.maximum(alike, 1e-6)[:, None],
        probabilities[seen].argmax(-1),
        (two[..., -1] - two[..., -2])[seen].astype(np.float32),
        (alike - ~of_one[seen]).astype(np.float32),
        np.full(len(alike), -1),
    )


def _probabilities(similarities: FloatArray, layout: Layout, scale: np.float32) -> FloatArray:
    """Return probabilities of classes (..., C), as the labeller has them."""
    logits = layout.logits(similarities, scale)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: FloatArray = shares / shares.sum(axis=-1, keepdims=True)
    return probabilities


def _pooled(values: FloatArray, cells: int) -> FloatArray:
    """Return the means of every square of `cells` x `cells` patches: (B, h', w', ...)."""
    rows, cols = values.shape[1] - cells + 1, values.shape[2] - cells + 1
    total = np.zeros((len(values), rows, cols, *values.shape[3:]), np.float32)
    for down in range(cells):
        for right in range(cells):
            total += values[:, down : down + rows, right : right + cols]
    total /= cells**2
    return total
