"""Multinomial logistic regression on patch features, begun at the text features."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["Linear"]

_PULL_OF_BIAS = 0.1


class Linear(Adapter):
    """logits = CLIP's + W z + b, z the patch's feature less the labelled patches' mean.

    W is what is added to the text features: its pull towards 0 is L2-SP (Li et al., Explicit
    Inductive Bias for Transfer Learning with Convolutional Networks, ICML 2018) with the text
    features as the starting point, also where a class has several words or the method compares
    otherwise than by the cosine.
    """

    kind: ClassVar[str] = "linear"
    summary: ClassVar[str] = "logistic regression on patch features, begun at the words"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "mean": ("D",), "spread": (), "weight": ("C", "D"), "bias": ("C",), "strength": (),
    }  # fmt: skip
    learned: ClassVar[tuple[str, ...]] = ("weight", "bias")
    settings: ClassVar[tuple[Mapping[str, float], ...]] = ({"strength": 0.03}, {"strength": 0.003})

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing; the setting `strength` is that of the pull."""
        share = (task.weights / task.weights.sum())[:, None]
        mean = (share * task.patches).sum(0)
        spread = (share * (task.patches - mean).square()).sum().sqrt().clamp(min=1e-6)
        own = {
            "mean": mean,
            "spread": spread,
            "weight": torch.zeros(task.classes, task.patches.shape[1]),
            "bias": torch.zeros(task.classes),
            "strength": torch.tensor(settings["strength"]),
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with those of the learned directions added."""
        own = self.tensors
        z = (patches - own["mean"]) / own["spread"]
        return similarities + self._per_query(z @ own["weight"].T + own["bias"])

    def penalty(self) -> Tensor:
        """Return the pull of the directions towards the text features."""
        own = self.tensors
        pull = own["weight"].square().sum() + _PULL_OF_BIAS * own["bias"].square().sum()
        return own["strength"] * pull / 2
