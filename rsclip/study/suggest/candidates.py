"""Places of a scene that a label could be asked of: one for each window, where it is least sure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
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
"""Places of a scene that are kept, the least sure ones: memory does not grow with it."""

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Squares of `side` pixels on the working grid.

    Attributes:
        places: int64 (N, 2), row and column of the first pixel.
        features: float32 (N, D), unit.
        guess: int64 (N,), position of the likeliest class.
        margin: float32 (N,), the likeliest class's probability less the second's, 0 to 1, where
            the mirrored image is of the same opinion; 0 where it is not.
        doubt: float32 (N,), 0 to 1: how unsure the model is, less where neighbours differ.
    """

    places: Index
    features: FloatArray
    guess: Index
    margin: FloatArray
    doubt: FloatArray

    def of(self, which: Index) -> "Candidates":
        """Return some of them."""
        return Candidates(*(getattr(self, name)[which] for name in self.__slots__))


def find_candidates(
    scene: Scene,
    segmenter: Segmenter,
    layout: Layout,
    config: SegmentConfig,
    cells: int,
    progress: Callable[[int, int], None] | None = None,
) -> Candidates:
    """Return the least sure place of each window; windows lie side by side.

    Args:
        scene: An open scene.
        segmenter: The model.
        layout: Which queries speak for which class, and how.
        config: Windows, stretch and logit scale.
        cells: Side of a place in patches.
        progress: Called with (windows done, windows in all).

    Raises:
        OptionError: The windows do not fit the model.
        ReadError: Pixels cannot be read.
    """
    grid = plan_grid(scene.working_shape, segmenter, config.replace(stride=None, overlap=0.0))
    assert config.logit_scale is not None
    scale = np.float32(config.logit_scale)
    best: Candidates | None = None
    for windows, images, valid in _batches(scene, grid, segmenter.batch_size, config, progress):
        found = _of_windows(windows, images, valid, segmenter, layout, scale, cells)
        best = found if best is None else _joined(best, found)
        if len(best.doubt) > MOST:
            best = best.of(np.sort(np.argsort(-best.doubt, kind="stable")[:MOST]))
    if best is None:
        none = np.empty(0, np.int64)
        return Candidates(none.reshape(0, 2), np.empty((0, 0), np.float32), none,
                          none.astype(np.float32), none.astype(np.float32))  # fmt: skip
    return best


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
    """Return the place of each window that has the most doubt."""
    features, similarities = segmenter.patches(images)
    _, mirrored = segmenter.patches(np.ascontiguousarray(images[..., ::-1]))
    one, other = (
        _probabilities(each, layout, scale) for each in (similarities, mirrored[:, :, ::-1])
    )
    # A place is what the mean of its patches says.
    features, one, other = (_pooled(each, cells) for each in (features, one, other))
    probabilities = (one + other) / 2
    two = np.partition(probabilities, -2, axis=-1)
    margin = two[..., -1] - two[..., -2]
    margin = np.where(one.argmax(-1) == other.argmax(-1), margin, 0)
    # The mean of unlike unit vectors is short: such a place is of no one class.
    alike = np.linalg.norm(features, axis=-1)
    doubt = (1 - margin) * alike
    patch = segmenter.patch
    whole = valid.reshape(
        len(valid), valid.shape[1] // patch, patch, valid.shape[2] // patch, patch
    ).all((2, 4))
    seen = _pooled(np.asarray(whole, np.float32)[..., None], cells)[..., 0]
    doubt = np.where(seen > 0.999, doubt, -1)
    flat = doubt.reshape(len(doubt), -1)
    at = flat.argmax(axis=1)
    rows, cols = np.divmod(at, doubt.shape[2])
    each = np.arange(len(windows))
    starts = np.array([(window.row, window.col) for window in windows])
    found = Candidates(
        starts + np.stack([rows, cols], axis=1) * patch,
        features[each, rows, cols] / np.maximum(alike[each, rows, cols], 1e-6)[:, None],
        probabilities[each, rows, cols].argmax(-1),
        margin[each, rows, cols].astype(np.float32),
        doubt[each, rows, cols].astype(np.float32),
    )
    return found.of(np.flatnonzero(found.doubt >= 0))


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
