"""Spatially blocked folds of labels: neighbours are never on both sides, nor parts of one label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["Fold", "make_folds"]

_FOLDS = 10

Index = NDArray[np.int64]
Floats = NDArray[np.float64]


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
    shapes: NDArray[Any], scenes: Index, classes: NDArray[Any], window: int
) -> list[Fold]:
    """Cut labels into folds of contiguous blocks.

    The labels of a scene are halved along the longer side of where they lie, again and again; where
    there are more blocks than folds, each class is spread over the folds. Labels that overlap stay
    in one block. Labels within a window of those held out see some of the same pixels: they are
    left out of the fitting, except those of a class that would be without labels.

    Args:
        shapes: (P,) geometries in pixels of the working grid.
        scenes: Number of each label's scene.
        classes: Each label's class.
        window: Longer side of a window in pixels.

    Returns:
        Folds with labels to test; none where no class lies in two blocks.
    """
    bounds = shapely.bounds(shapes)
    blocks: list[Index] = []
    for scene in np.unique(scenes):
        own = np.flatnonzero(scenes == scene)
        parts = max(round(_FOLDS * len(own) / len(shapes)), 1)
        group = _overlapping(shapes[own])
        sizes = np.bincount(group)
        low, high = np.full((len(sizes), 2), np.inf), np.full((len(sizes), 2), -np.inf)
        np.minimum.at(low, group, bounds[own, :2])
        np.maximum.at(high, group, bounds[own, 2:])
        for block in _halved((low + high) / 2, sizes, np.arange(len(sizes)), parts, window):
            blocks.append(own[np.isin(group, block)])
    folds = []
    for test in _spread(blocks, classes):
        rest = np.setdiff1d(np.arange(len(shapes)), test)
        near = _near(bounds, scenes, rest, test, window)
        lacking = np.setdiff1d(classes[rest], classes[rest[~near]])
        train = rest[~near | np.isin(classes[rest], lacking)]
        known = test[np.isin(classes[test], classes[train])]
        if len(known) and len({*classes[train]}) > 1:
            folds.append(Fold(train, known, not len(lacking)))
    return folds


def _overlapping(shapes: NDArray[Any]) -> Index:
    """Number labels by groups that overlap, through others too: (P,), from 0.

    A point takes up a pixel; neighbours that share an edge do not overlap.
    """
    # Many labels of one place would be many pairs.
    _, first, same = np.unique(shapely.to_wkb(shapes), return_index=True, return_inverse=True)
    areas = shapes[first]
    areas = np.where(shapely.area(areas) > 0, areas, shapely.buffer(areas, 0.5, cap_style="square"))
    one, other = shapely.STRtree(areas).query(areas, predicate="intersects")
    one, other = one[one < other], other[one < other]
    overlap = ~shapely.touches(areas[one], areas[other])
    one, other = one[overlap], other[overlap]
    group = np.arange(len(areas))
    while (group[one] != group[other]).any():
        least = np.minimum(group[one], group[other])
        np.minimum.at(group, one, least)
        np.minimum.at(group, other, least)
        group = group[group]
    # Groups are numbered in the order of the labels.
    lowest = np.full(len(areas), len(shapes))
    np.minimum.at(lowest, group[same], np.arange(len(shapes)))
    return np.unique(lowest[group[same]], return_inverse=True)[1]


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


def _halved(places: Floats, sizes: Index, which: Index, parts: int, window: int) -> list[Index]:
    """Cut groups of labels into parts of about as many labels, each cut across the longer side."""
    if parts == 1 or len(which) < 2:
        return [which]
    extent = np.ptp(places[which], axis=0)
    axis = int(extent.argmax())
    # Labels of one window are one block.
    if extent[axis] < window:
        return [which]
    order = which[np.argsort(places[which, axis], kind="stable")]
    first = parts // 2
    held = np.cumsum(sizes[order])
    share = max(round(held[-1] * first / parts), 1)
    cut = min(int(np.searchsorted(held, share)) + 1, len(order) - 1)
    return [
        *_halved(places, sizes, np.sort(order[:cut]), first, window),
        *_halved(places, sizes, np.sort(order[cut:]), parts - first, window),
    ]


def _near(
    bounds: Floats, scenes: Index, some: Index, others: Index, window: int
) -> NDArray[np.bool_]:
    """Say which labels lie less than a window from any of others, in the same scene."""
    near = np.zeros(len(some), bool)
    # A hair less than a window: what touches does not count.
    reach = np.array([-1, -1, 1, 1]) * (window - 1e-6)
    for scene in np.unique(scenes[others]):
        own = np.flatnonzero(scenes[some] == scene)
        around = shapely.union_all(
            shapely.box(*(bounds[others[scenes[others] == scene]] + reach).T)
        )
        shapely.prepare(around)
        near[own] = shapely.intersects(around, shapely.box(*bounds[some[own]].T))
    return near
