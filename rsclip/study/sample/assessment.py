"""What a labelled sample says of a map."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsclip.study.sample.estimate import Estimate, Estimates
from rsclip.version import __version__
from rsclip.words.legend import Legend

__all__ = ["Assessment"]


@dataclass(frozen=True)
class Assessment:
    """Accuracy and areas of a map, estimated from a sample.

    Arrays by class are by legend value: 0 for unclassified, then 1..N.

    Attributes:
        mask: The map as it was named.
        points: The sample as it was named.
        legend: Classes of the map.
        counts: int64 (K, K) labelled points, rows as the map has them, columns as labelled.
        estimates: Area-adjusted accuracy and shares.
        hectares: The map's ground; None where it has no place on Earth.
        strata: Name -> labelled points.
        warnings: What was said on the way.
        paths: Key -> file that was written.
    """

    mask: str
    points: str
    legend: Legend
    counts: NDArray[np.int64]
    estimates: Estimates
    hectares: float | None
    strata: Mapping[str, int]
    warnings: list[str]
    paths: Mapping[str, Path] = field(default_factory=dict)

    def shown(self) -> list[int]:
        """Return the legend values that are in the map's points or in the labels."""
        return [v for v in self.legend.names if self.counts[v].any() or self.counts[:, v].any()]

    def area(self, value: int) -> Estimate | None:
        """Return a class's area in hectares; None where the map has no place on Earth."""
        if self.hectares is None:
            return None
        share = self.estimates.share[value]
        return Estimate(share.value * self.hectares, share.error * self.hectares)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        shown, names = self.shown(), self.legend.names
        pick = np.ix_(shown, shown)
        return {
            "software": {"rsclip": __version__},
            "mask": self.mask,
            "points": self.points,
            "estimators": "Olofsson et al. 2014; Stehman 2014 where strata are not the classes",
            "intervals": "95 %, as value and half width",
            "hectares": self.hectares,
            "strata": dict(self.strata),
            "overall_accuracy": _plain(self.estimates.overall),
            "classes": [
                {
                    "name": names[value],
                    "users_accuracy": _plain(self.estimates.user[value]),
                    "producers_accuracy": _plain(self.estimates.producer[value]),
                    "share": _plain(self.estimates.share[value]),
                    "hectares": _plain(self.area(value)),
                }
                for value in shown
            ],
            "confusion": {
                "classes": [names[value] for value in shown],
                "rows": "map",
                "columns": "labelled",
                "points": self.counts[pick],
                "area_shares": self.estimates.matrix[pick],
            },
            "warnings": self.warnings,
        }


def _plain(found: Estimate | None) -> dict[str, float] | None:
    return None if found is None else {"value": found.value, "half": found.half}
