"""Spatially blocked folds of labels: neighbours are never on both sides, nor parts of one label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fold", "make_folds"]

_FOLDS = 10

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Labels that are held out, and those that are fitted meanwhile.

    Attributes:
        train: Numbers of labels.
        test: Numbers of labels; only of classes that `train` has too.
        apart: All of `train` lie at least a window from all of `test`.
    """

    train: Index
    test: Index
    apart: bool


def make_folds(
    boxes: NDArray[np.float64], scenes: Index, classes: NDArray[Any], window: int
) -> list[Fold]:
    """Cut labels into folds of contiguous blocks.

    The labels of a scene are halved along the longer side of where they lie, again and again; where
    there are more blocks than folds, each class is spread over the folds. Labels within a
    window of those held out see some of the same pixels: they are left out of the fitting, unless
    a class would be without labels.

    Args:
        boxes: float64 (P, 4): left, top, right, bottom in pixels of the working grid.
        scenes: Number of each label's scene.
        classes: Each label's class.
        window: Longer side of a window in pixels.

    Returns:
        Folds with labels to test; none where no class lies in two blocks.
    """
    places = np.stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)], axis=1)
    blocks: list[Index] = []
    for scene in np.unique(scenes):
        own = np.flatnonzero(scenes == scene)
        parts = max(round(_FOLDS * len(own) / len(boxes)), 1)
        blocks += _halved(places, own, parts, window)
    folds = []
    for test in _spread(blocks, classes):
        rest = np.setdiff1d(np.arange(len(boxes)), test)
        far = rest[~_near(boxes, scenes, rest, test, window)]
        apart = {*classes[far]} == {*classes[rest]}
        train = far if apart else rest
        known = test[np.isin(classes[test], classes[train])]
        if len(known) and len({*classes[train]}) > 1:
            folds.append(Fold(train, known, apart))
    return folds


def _spread(blocks: list[Index], classes: NDArray[Any]) -> list[Index]:
    """Put blocks together to folds, the labels of each class as evenly as whole blocks can."""
    if len(blocks) <= _FOLDS:
        return blocks
    values = np.unique(classes)
    counts = np.array([[(classes[block] == value).sum() for value in values] for block in blocks])
    held = np.zeros((_FOLDS, len(values)))
    folds: list[list[Index]] = [[] for _ in range(_FOLDS)]
    for number in np.argsort(-counts.sum(axis=1), kind="stable"):
        same = held @ counts[number]
        # Of equals, the fold with the fewest labels.
        fold = int(np.lexsort((held.sum(axis=1), same))[0])
        folds[fold].append(blocks[number])
        held[fold] += counts[number]
    return [np.sort(np.concatenate(each)) for each in folds if each]


def _halved(places: NDArray[np.float64], which: Index, parts: int, window: int) -> list[Index]:
    """Cut labels into parts of about equal number, each cut across the longer side."""
    if parts == 1 or len(which) < 2:
        return [which]
    extent = np.ptp(places[which], axis=0)
    axis = int(extent.argmax())
    # Labels of one window are one block.
    if extent[axis] < window:
        return [which]
    order = which[np.argsort(places[which, axis], kind="stable")]
    first = parts // 2
    cut = max(round(len(order) * first / parts), 1)
    return [
        *_halved(places, np.sort(order[:cut]), first, window),
        *_halved(places, np.sort(order[cut:]), parts - first, window),
    ]


def _near(
    boxes: NDArray[np.float64], scenes: Index, some: Index, others: Index, window: int
) -> NDArray[np.bool_]:
    """Say which labels lie less than a window from any of others, in the same scene."""
    one, other = boxes[some][:, None], boxes[others][None]
    gap_x = np.maximum(one[..., 0] - other[..., 2], other[..., 0] - one[..., 2])
    gap_y = np.maximum(one[..., 1] - other[..., 3], other[..., 1] - one[..., 3])
    same = scenes[some][:, None] == scenes[others][None]
    near: NDArray[np.bool_] = (same & (np.maximum(gap_x, gap_y) < window)).any(axis=1)
    return near
