"""Accuracy and areas from a stratified random sample, with their standard errors.

Olofsson et al. (2014), Good practices for estimating area and assessing accuracy of land change,
Remote Sensing of Environment 148, 42-57. Where strata are the map's classes the estimators are
theirs (equations 1 to 11); where strata are others, the indicator and ratio estimators of Stehman
(2014), Int. J. Remote Sensing 35, 4923-4939, which give the same where strata are the classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "Estimates", "allocate", "estimate", "half_width", "sample_size"]

Z = 1.96
"""Half a 95 % interval, in standard errors."""

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its standard error."""

    value: float
    error: float

    @property
    def half(self) -> float:
        """Half the 95 % interval."""
        return Z * self.error


@dataclass(frozen=True, slots=True)
class Estimates:
    """What a sample says.

    Attributes:
        matrix: float (K, K), the area-adjusted confusion: shares of the whole area, rows as the map
            has them, columns as the reference has them (equation 4).
        overall: Overall accuracy (equations 1 and 5).
        user: User's accuracy of each class (2 and 6).
        producer: Producer's accuracy of each class (3 and 7).
        share: Each class's share of the whole area (9 and 10).
    """

    matrix: NDArray[np.float64]
    overall: Estimate
    user: Sequence[Estimate]
    producer: Sequence[Estimate]
    share: Sequence[Estimate]


def estimate(
    strata: Index, mapped: Index, reference: Index, weights: NDArray[np.float64], classes: int
) -> Estimates:
    """Estimate accuracy and areas.

    Args:
        strata: int (n,) stratum of each sample unit, 0 to H - 1.
        mapped: int (n,) the map's class, 0 to `classes` - 1.
        reference: int (n,) the interpreter's class.
        weights: float (H,) each stratum's share of the whole area; their sum is 1. A stratum
            without units counts for nothing: leave it out before.
        classes: Number of classes.
    """
    units = np.bincount(strata, minlength=len(weights))
    # Area that a unit stands for.
    each = weights[strata] / units[strata]
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (mapped, reference), each)

    def ratio(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Estimate:
        below = float((each * whole).sum())
        if not below:
            return Estimate(math.nan, math.nan)
        value = float((each * part).sum()) / below
        variance = 0.0
        for stratum, weight in enumerate(weights):
            rest = (part.astype(float) - value * whole)[strata == stratum]
            if len(rest) > 1:
                variance += weight**2 * rest.var(ddof=1) / len(rest)
        return Estimate(value, math.sqrt(variance) / below)

    every = np.ones(len(strata), np.bool_)
    right = mapped == reference
    return Estimates(
        matrix,
        ratio(right, every),
        [ratio(right & (mapped == value), mapped == value) for value in range(classes)],
        [ratio(right & (reference == value), reference == value) for value in range(classes)],
        [ratio(reference == value, every) for value in range(classes)],
    )


def sample_size(weights: NDArray[np.float64], expected: NDArray[np.float64], half: float) -> int:
    """Return how many units give the overall accuracy an interval (equation 13, after Cochran).

    Args:
        weights: float (H,) each stratum's share of the area.
        expected: float (H,) user's accuracy that is expected of each, 0 to 1.
        half: Half the 95 % interval that is wanted, 0 to 1.
    """
    spread = float((weights * np.sqrt(expected * (1 - expected))).sum())
    # What rounding adds must not cost a unit.
    return math.ceil((spread * Z / half) ** 2 - 1e-9)


def half_width(
    weights: NDArray[np.float64], expected: NDArray[np.float64], units: Sequence[int]
) -> float:
    """Return half the 95 % interval of the overall accuracy (equation 5), 0 to 1.

    Args:
        weights: float (H,) each stratum's share of the area.
        expected: float (H,) user's accuracy that is expected of each, 0 to 1.
        units: Of each stratum, 1 or more.
    """
    return Z * math.sqrt(float((weights**2 * expected * (1 - expected) / units).sum()))


def allocate(pixels: Sequence[int], count: int) -> list[int]:
    """Share out sample units: by area, but 50 at least where the sample has room for that.

    Section 5.1 of Olofsson et al.: rare classes get more than their share, so that their accuracy
    can be told. Each stratum gets two where there are so many, which its variance needs. No stratum
    gets more units than it has pixels.

    Args:
        pixels: Of each stratum.
        count: Units in all.
    """
    least = max(min(_LEAST, count // (2 * len(pixels))), min(2, count // len(pixels)))
    found = [min(least, size) for size in pixels]
    open_ones = [at for at, size in enumerate(pixels) if size > found[at]]
    while (left := min(count, sum(pixels)) - sum(found)) > 0:
        total = sum(pixels[at] for at in open_ones)
        wanted = {at: left * pixels[at] / total for at in open_ones}
        full = [at for at in open_ones if found[at] + wanted[at] >= pixels[at]]
        if full:
            # What a full stratum cannot take goes to the others.
            for at in full:
                found[at] = pixels[at]
            open_ones = [at for at in open_ones if at not in full]
            continue
        for at in open_ones:
            found[at] += math.floor(wanted[at])
        rest = left - sum(math.floor(one) for one in wanted.values())
        by_remainder = sorted(open_ones, key=lambda at: math.floor(wanted[at]) - wanted[at])
        for at in by_remainder[:rest]:
            found[at] += 1
    return found


_LEAST = 50
