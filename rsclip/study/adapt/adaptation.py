"""What `adapt` returns: what was tried, what was chosen, and its scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsclip.study.adapt.choosing import Candidate, Choice
from rsclip.words.legend import Legend

__all__ = ["Adaptation"]


@dataclass(frozen=True)
class Adaptation:
    """What few labels have taught.

    Attributes:
        path: The adapter's file.
        kind: Its kind; "none" where the model is better without.
        legend: Classes.
        labels: Class -> number of its labels.
        choice: What cross-validation saw and why what was chosen; None without it.
        folds: Number of folds.
        windows: Windows that were encoded.
        seconds: Stage -> wall time.
    """

    path: Path
    kind: str
    legend: Legend
    labels: Mapping[str, int]
    choice: Choice | None
    folds: int
    windows: int
    seconds: Mapping[str, float]

    @property
    def candidates(self) -> Sequence[Candidate]:
        """What cross-validation saw, the model as it is first; empty without it."""
        return () if self.choice is None else self.choice.candidates

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that was chosen, if it was validated."""
        return None if self.choice is None else self.choice.chosen

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of its scores by class, IoU in percent, as text."""
        if self.choice is None:
            return ["class", "labels"], [[name, str(count)] for name, count in self.labels.items()]
        both = self.choice.candidates[0], self.choice.chosen
        rows = [
            [name, str(count), *(_with_spread(each.classes[at], each.spread[at]) for each in both)]
            for at, (name, count) in enumerate(self.labels.items())
        ]
        means = [_with_spread(each.miou, each.to_dict()["spread"]) for each in both]
        rows.append(["mean", str(sum(self.labels.values())), *means])
        return ["class", "labels", "zero-shot", self.kind], rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        scores: dict[str, Any] = {"candidates": [], "classes": {}}
        if self.choice is not None:
            unchanged, chosen = self.choice.candidates[0], self.choice.chosen
            classes = {
                key: {
                    name: {"iou": iou, "spread": spread}
                    # Behind the classes stands the background.
                    for name, iou, spread in zip(
                        self.labels, each.classes, each.spread, strict=False
                    )
                }
                for key, each in {"zero-shot": unchanged, self.kind: chosen}.items()
            }
            scores = {**self.choice.to_dict(), "classes": classes}
        return {
            "kind": self.kind,
            "labels": dict(self.labels),
            "folds": self.folds,
            **scores,
            "windows": self.windows,
            "seconds": dict(self.seconds),
        }


def _with_spread(value: float, spread: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f}" + ("" if math.isnan(spread) else f" +- {100 * spread:.1f}")
