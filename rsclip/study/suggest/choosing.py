"""Which of many places to ask for: one typical place for each kind of ground."""

import numpy as np
from numpy.typing import NDArray

from rsclip.types import FloatArray

__all__ = ["choose"]

_STEPS = 50
_SEED = 0


def choose(
    features: FloatArray, label: NDArray[np.int64], clear: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Rank places so that the first are typical of many others, and unlike one another.

    Features are clustered into as many clusters as there are labels and places to choose; the
    largest clusters without a label give their most typical place: TypiClust (Hacohen et al.,
    Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, ICML 2022); the
    most typical place is that nearest to the cluster's mean.

    Args:
        features: float32 (N, D), unit.
        label: int64 (N,), number of the label that a place has already; -1 without one.
        clear: bool (N,), places that come first.
        count: How many are wanted.

    Returns:
        int64 (M,), all places without a label, in order: the place of the largest cluster first.
    """
    if not len(features):
        return np.empty(0, np.int64)
    chance = np.random.default_rng(_SEED)
    known = label >= 0
    shown = features[clear | known] if (clear | known).any() else features
    number = min(count + len(np.unique(label[known])), len(shown))
    centres = _clustered(shown, _spread(shown, number, chance))
    apart = _apart(features, centres)
    of = apart.argmin(axis=1)
    away = apart.min(axis=1)
    labelled = np.bincount(of, known, number) > 0
    order = np.lexsort((away, -np.bincount(of, minlength=number)[of], labelled[of], ~clear))
    order = order[~known[order]]
    first = np.sort(np.unique(of[order], return_index=True)[1])
    first = first[clear[order[first]]]
    # Where clusters have no clear place, or are too few, the next typical places follow.
    return np.concatenate([order[first], np.delete(order, first)])


def _clustered(features: FloatArray, centres: FloatArray) -> FloatArray:
    """Return the centres of k-means, by Lloyd's steps."""
    of = None
    for _ in range(_STEPS):
        before, of = of, _apart(features, centres).argmin(axis=1)
        if before is not None and (before == of).all():
            break
        sizes = np.bincount(of, minlength=len(centres))
        filled = sizes > 0
        sums = np.zeros_like(centres)
        np.add.at(sums, of, features)
        centres[filled] = sums[filled] / sizes[filled, None]
    return centres


def _spread(features: FloatArray, number: int, chance: np.random.Generator) -> FloatArray:
    """Return centres to begin with, each likely far from the ones before (k-means++)."""
    chosen = [int(chance.integers(len(features)))]
    nearest = _apart(features, features[chosen])[:, 0]
    while len(chosen) < number:
        total = nearest.sum()
        share = nearest / total if total > 0 else None
        chosen.append(int(chance.choice(len(features), p=share)))
        nearest = np.minimum(nearest, _apart(features, features[chosen[-1:]])[:, 0])
    return features[chosen].copy()


def _apart(features: FloatArray, centres: FloatArray) -> NDArray[np.float64]:
    """Return squared distances (N, K)."""
    exact, others = features.astype(np.float64), centres.astype(np.float64)
    squares = (exact**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * exact @ others.T
    found: NDArray[np.float64] = squares.clip(min=0)
    return found
