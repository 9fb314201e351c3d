"""Which adapter is best, and whether it is better than none: cross-validation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsclip.adapters.base import Adapter, Task
from rsclip.adapters.kinds import KINDS
from rsclip.study.adapt.fitting import class_scores, fit_adapter
from rsclip.study.adapt.folds import Fold

__all__ = ["Candidate", "Choice", "best_of", "choose", "preferred", "shortfall", "validate"]

Floats = NDArray[np.float64]
_RIVAL = 1.5
"""Standard errors by which a weaker pull must be better: at 1, it lost 0.07 on random places."""
_LEAST_GAIN = 0.01
"""Of mean IoU: where a model is nearly right, gains of a fifth of this lost 0.05 on the map."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An adapter as cross-validation saw it.

    Attributes:
        kind: Its kind; None for the model as it is.
        settings: As the kind's `start` takes them.
        matrices: float64 (folds, K, K): labels held out, rows true, columns predicted.
        entropy: float64 (folds,), their mean cross entropy.
    """

    kind: str | None
    settings: Mapping[str, float] = field(default_factory=dict)
    matrices: Floats = field(default_factory=lambda: np.empty((0, 0, 0)), repr=False)
    entropy: Floats = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def miou(self) -> float:
        """Mean IoU of all labels held out, 0 to 1."""
        return float(np.nanmean(self.classes))

    @property
    def classes(self) -> Floats:
        """IoU of each class over all folds, 0 to 1; NaN where no label was held out."""
        return _iou(self.matrices.sum(axis=0))

    @property
    def spread(self) -> Floats:
        """Standard deviation over folds of each class's IoU; NaN where fewer than two have it."""
        each = np.array([_iou(matrix) for matrix in self.matrices])
        many = (~np.isnan(each)).sum(axis=0) > 1
        found = np.full(each.shape[1], np.nan)
        found[many] = np.nanstd(each[:, many], axis=0, ddof=1)
        return found

    def gain(self, other: "Candidate") -> tuple[float, float]:
        """Return what it gains on another in mean IoU, and the standard error of that."""
        return _gained(self, other, lambda matrix: float(np.nanmean(_iou(matrix))))

    def accuracy_gain(self, other: "Candidate") -> tuple[float, float]:
        """Return what it gains in accuracy, see `_accuracy`, and the standard error of that."""
        return _gained(self, other, _accuracy)

    def beats(self, other: "Candidate") -> bool:
        """Say whether it gains accuracy beyond the standard error, and mean IoU worth having.

        Guesses gain no accuracy. Mean IoU rises where guesses are only spread more evenly
        over the classes, and cross entropy falls where logits are only recalibrated.
        """
        gain, error = self.accuracy_gain(other)
        return gain > error and self.gain(other)[0] > _LEAST_GAIN

    @property
    def name(self) -> str:
        """Its settings as text: "strength 0.03"."""
        return ", ".join(f"{name} {value:g}" for name, value in self.settings.items())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "kind": self.kind or "zero-shot",
            "settings": dict(self.settings),
            "miou": self.miou,
            "spread": float(np.std([np.nanmean(_iou(each)) for each in self.matrices], ddof=1)),
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation saw, and what is made of it.

    Attributes:
        candidates: The model as it is, then the others.
        chosen: One of them.
        reasons: Of each, why it was chosen or not; "" for the model as it is beside an adapter.
    """

    candidates: Sequence[Candidate]
    chosen: Candidate
    reasons: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Return what was gained, and each candidate, as plain values, ready for JSON."""
        found = []
        for each, reason in zip(self.candidates, self.reasons, strict=True):
            gain, error = each.gain(self.candidates[0])
            accuracy, of_accuracy = each.accuracy_gain(self.candidates[0])
            found.append(
                {"gain": gain, "standard_error": error, "accuracy_gain": accuracy,
                 "accuracy_standard_error": of_accuracy, "reason": reason}
            )  # fmt: skip
        return {
            **found[self.candidates.index(self.chosen)],
            "candidates": [
                each.to_dict() | own for each, own in zip(self.candidates, found, strict=True)
            ],
        }

    def table(self, *, every: bool = True) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of the candidates, as text: all, or one of each kind."""
        rows = []
        for each, reason in zip(self.candidates, self.reasons, strict=True):
            of_kind = [other for other in self.candidates if other.kind == each.kind]
            shown = self.chosen if self.chosen in of_kind else best_of(of_kind)
            if every or each is shown:
                gains = [
                    f"{100 * gain:+.1f} +- {100 * error:.1f}" if each.kind else ""
                    for gain, error in (
                        each.gain(self.candidates[0]), each.accuracy_gain(self.candidates[0])
                    )
                ]  # fmt: skip
                score = f"{100 * each.miou:.1f}"
                rows.append([each.kind or "zero-shot", each.name, score, *gains, reason])
        return ["kind", "settings", "mean IoU", "gain", "accuracy gain", "why"], rows


def _iou(matrix: Floats) -> Floats:
    """Return the IoU of the classes whose labels were held out, NaN of the others."""
    true, predicted, right = matrix.sum(axis=1), matrix.sum(axis=0), np.diag(matrix)
    found: Floats = np.full(len(matrix), np.nan)
    np.divide(right, true + predicted - right, out=found, where=true > 0)
    return found


def _accuracy(matrix: Floats) -> float:
    """Return the mean of the share of labels that are right and of that share class by class.

    The first alone neglects rare classes; the second alone hangs on the few labels of them.
    """
    true, right = matrix.sum(axis=1), np.diag(matrix)
    by_class = (right[true > 0] / true[true > 0]).mean()
    return float((right.sum() / true.sum() + by_class) / 2)


def _gained(
    one: Candidate, other: Candidate, score: Callable[[Floats], float]
) -> tuple[float, float]:
    """Return what one gains on another in a score, and the jackknife's standard error of that.

    One fold alone has few labels of a class, and its score jumps: each is left out in turn.
    """

    def difference(kept: Any) -> float:
        own, others = (each.matrices[kept].sum(axis=0) for each in (one, other))
        return score(own) - score(others)

    number = len(one.matrices)
    without = [difference(np.arange(number) != fold) for fold in range(number)]
    error = ((number - 1) ** 2 / number * np.var(without, ddof=1)) ** 0.5
    return difference(slice(None)), float(error)


def validate(
    kinds: Iterable[str], task: Task, label: NDArray[np.int64], folds: Sequence[Fold]
) -> list[Candidate]:
    """Fit every setting of some kinds to all folds but one, and test it on that one.

    Args:
        kinds: Names of kinds.
        task: All labelled patches.
        label: int64 (N,), number of each patch's label.
        folds: Of labels.

    Returns:
        The model as it is, then the candidates of each kind.
    """
    parts = [tuple(torch.from_numpy(np.isin(label, side)) for side in (fold.train, fold.test))
             for fold in folds]  # fmt: skip
    candidates = [Candidate(None, {}, *_held_out(task, None, {}, parts))]
    for name in kinds:
        for settings in KINDS[name].settings:
            found = _held_out(task, KINDS[name], settings, parts)
            candidates.append(Candidate(name, settings, *found))
    return candidates


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate of the highest mean IoU; the first of equals."""
    return max(candidates, key=lambda each: each.miou)


def preferred(candidates: Sequence[Candidate]) -> Candidate:
    """Return the first candidate, or one of its kind that gains clearly more than the error.

    Labels held out hardly tell good adapters apart: the best by them is often one that fits too
    closely. Kinds and settings stand in the order of what they gained on pixels without labels.
    """
    first, *others = candidates
    rivals = [first]
    for each in others:
        gain, error = each.accuracy_gain(first)
        if each.kind == first.kind and gain > _RIVAL * error:
            rivals.append(each)
    return best_of(rivals)


def choose(candidates: Sequence[Candidate], *, auto: bool) -> Choice:
    """Choose the preferred candidate of those that beat the model as it is.

    Args:
        candidates: The model as it is, then at least one more.
        auto: Where none does, choose the model as it is, else the best of the others.
    """
    unchanged, *others = candidates
    better = [each for each in others if each.beats(unchanged)]
    if better:
        chosen = preferred(better)
        why = "chosen: the first that gains more accuracy than its standard error"
        if chosen is not better[0]:
            gain, error = chosen.accuracy_gain(better[0])
            why = f"chosen: {100 * gain:.1f} +- {100 * error:.1f} more accuracy "
            why += f"than {better[0].name}"
    elif auto:
        chosen = unchanged
        why = "chosen: no adapter gains more accuracy than its standard error, and a point of IoU"
    else:
        chosen = best_of(others)
        why = f"chosen: the best of the kind asked for, but it {shortfall(chosen, unchanged)}"
    reasons = []
    for each in candidates:
        if each is chosen:
            reasons.append(why)
        elif each is unchanged:
            reasons.append("")
        elif each not in better:
            reasons.append(shortfall(each, unchanged))
        elif each.kind != chosen.kind:
            reasons.append(f"gains too, but {chosen.kind} comes first")
        elif each is better[0]:
            reasons.append(f"gains too, but {chosen.name} more, by {_RIVAL:g} standard errors")
        else:
            gain, error = each.accuracy_gain(better[0])
            reasons.append(
                f"gains too, but no more than {chosen.name}"
                if gain > _RIVAL * error
                else f"gains too, but within {_RIVAL:g} standard errors of {better[0].name}"
            )
    return Choice(candidates, chosen, reasons)


def shortfall(one: Candidate, unchanged: Candidate) -> str:
    """Return why a candidate does not beat the model as it is."""
    gain, error = one.accuracy_gain(unchanged)
    if gain <= 0:
        return "gains nothing"
    if gain <= error:
        return "gains no more than the standard error"
    return f"gains less than {100 * _LEAST_GAIN:g} point of mean IoU"


def _held_out(
    task: Task,
    kind: type[Adapter] | None,
    settings: Mapping[str, float],
    parts: Sequence[tuple[torch.Tensor, ...]],
) -> tuple[Floats, Floats]:
    """Return each fold's matrix and cross entropy."""
    matrices, entropy = [], []
    for train, test in parts:
        adapter = None if kind is None else fit_adapter(kind, task.of(train), settings)
        held = task.of(test)
        scores = class_scores(held, adapter)
        count = scores.shape[1]
        pairs = held.classes_of * count + scores.argmax(dim=1)
        matrix = torch.bincount(pairs, held.weights.double(), count * count)
        matrices.append(matrix.reshape(count, count).numpy())
        right = scores.gather(1, held.classes_of[:, None])[:, 0]
        entropy.append(float(-(held.weights * right).sum() / held.weights.sum()))
    return np.array(matrices), np.array(entropy)
