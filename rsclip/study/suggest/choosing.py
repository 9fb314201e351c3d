"""Which of many places to ask for: k-centre, so that each is unlike the ones before."""

import numpy as np
from numpy.typing import NDArray

from rsclip.types import FloatArray

__all__ = ["choose"]


def choose(
    features: FloatArray,
    places: NDArray[np.float64],
    doubt: FloatArray,
    count: int,
    known: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Choose places that are unsure, unlike one another and far apart.

    Greedy k-centre (Sener and Savarese, Active Learning for Convolutional Neural Networks: A
    Core-Set Approach, ICLR 2018), distances weighted by doubt. The distance of two places is
    that of their features (1 - cosine, over its mean) plus that on the ground (over the scene's
    diagonal).

    Args:
        features: float32 (N, D), unit.
        places: float64 (N, 2), in any unit of length.
        doubt: float32 (N,), 0 to 1.
        count: How many.
        known: float64 (M, 2), places that have labels.

    Returns:
        int64 (min(count, N),), the choice in order.
    """
    number = len(features)
    if not number:
        return np.empty(0, np.int64)
    diagonal = max(float(np.hypot(*np.ptp(places, axis=0))), 1e-9)
    centre = features.mean(axis=0)
    typical = max(float((1 - features @ (centre / np.linalg.norm(centre))).mean()), 1e-9)
    nearest = np.ones(number)
    for place in known:
        nearest = np.minimum(nearest, np.hypot(*(places - place).T) / diagonal)
    chosen: list[int] = []
    free = np.ones(number, bool)
    while len(chosen) < min(count, number):
        at = int(np.where(free, doubt * nearest, -1).argmax())
        chosen.append(at)
        free[at] = False
        apart = (1 - features @ features[at]) / typical
        apart = apart + np.hypot(*(places - places[at]).T) / diagonal
        nearest = apart if len(chosen) == 1 and not len(known) else np.minimum(nearest, apart)
    return np.array(chosen, np.int64)
