"""Biases, scale and thresholds fitted to labelled patches, and how they do on labels held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsclip.adapters.base import Adapter, Task
from rsclip.adapters.bias import Bias
from rsclip.study.adapt.choosing import Candidate, Floats
from rsclip.study.adapt.fitting import class_scores, fit_adapter
from rsclip.study.adapt.folds import Fold

__all__ = ["Numbers", "candidates_of", "fit_numbers"]

_LEAST_GAIN = 1.0
"""Labels that a threshold must set right, those that it spoils taken off."""


@dataclass(frozen=True)
class Numbers:
    """What is fitted.

    Attributes:
        adapter: The biases and the factor of the scale; None: the model as it is.
        thresholds: float32 (foreground classes,), lowest probabilities that keep a label; 0: none.
    """

    adapter: Adapter | None
    thresholds: Tensor

    def predict(self, task: Task) -> Tensor:
        """Return the position of each patch's class, int64 (N,); none of them: `foreground`."""
        scores, position = class_scores(task, self.adapter).exp().max(dim=1)
        position = position.clamp(max=task.foreground)
        lowest = torch.cat([self.thresholds.to(scores), scores.new_zeros(1)])[position]
        return torch.where(scores < lowest, task.foreground, position)


def fit_numbers(task: Task, settings: Mapping[str, float]) -> Numbers:
    """Fit biases and scale by cross entropy, then a threshold for each class.

    Args:
        task: Labelled patches; those of none of the classes have the position `foreground`.
        settings: Of the adapter kind `bias`.
    """
    named = task.of(task.classes_of < task.groups)
    adapter = fit_adapter(Bias, named, settings)
    return Numbers(adapter, _thresholds(task, adapter))


def _thresholds(task: Task, adapter: Adapter) -> Tensor:
    """Return the threshold of each class that sets most labels of none of the classes right.

    Halfway between two scores; 0 where it gains no more than a label.
    """
    scores, position = class_scores(task, adapter).exp().max(dim=1)
    found = torch.zeros(task.foreground)
    for value in range(task.foreground):
        of_class = position == value
        none = of_class & (task.classes_of == task.foreground)
        right = of_class & (task.classes_of == value)
        if not none.any():
            continue
        either = none | right
        order = scores[either].argsort()
        sorted_scores = scores[either][order]
        sign = torch.where(none[either], 1.0, -1.0)[order]
        gains = (sign * task.weights[either][order]).cumsum(0)
        best = int(gains.argmax())
        if gains[best] > _LEAST_GAIN:
            above = sorted_scores[best + 1] if best + 1 < len(order) else sorted_scores.new_ones(())
            found[value] = (sorted_scores[best] + above) / 2
    return found


def candidates_of(task: Task, label: NDArray[np.int64], folds: Sequence[Fold]) -> list[Candidate]:
    """Fit every strength of the pull to all folds but one, and test it on that one.

    Args:
        task: All labelled patches.
        label: int64 (N,), number of each patch's label.
        folds: Of labels.

    Returns:
        The model as it is, then the candidates.
    """
    parts = [
        tuple(torch.from_numpy(np.isin(label, side)) for side in (fold.train, fold.test))
        for fold in folds
    ]
    settings: list[Mapping[str, float]] = [{}, *Bias.settings]
    return [
        Candidate(Bias.kind if each else None, each, *_held_out(task, each, parts))
        for each in settings
    ]


def _held_out(
    task: Task, settings: Mapping[str, float], parts: Sequence[tuple[Tensor, ...]]
) -> tuple[Floats, Floats]:
    """Return each fold's matrix of classes and "none", and its cross entropy of classes."""
    count = task.foreground + 1
    matrices, entropy = [], []
    for train, test in parts:
        plain = Numbers(None, torch.zeros(task.foreground))
        numbers = fit_numbers(task.of(train), settings) if settings else plain
        held = task.of(test)
        pairs = held.classes_of * count + numbers.predict(held)
        matrix = torch.bincount(pairs, held.weights.double(), count * count)
        matrices.append(matrix.reshape(count, count).numpy())
        named = held.of(held.classes_of < held.groups)
        right = class_scores(named, numbers.adapter).gather(1, named.classes_of[:, None])[:, 0]
        weight = named.weights.sum().clamp(min=1e-9)
        entropy.append(float(-(named.weights * right).sum() / weight))
    return np.array(matrices), np.array(entropy)
