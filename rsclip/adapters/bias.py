"""Calibration: a bias for each class and one factor of the logits."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["Bias"]


class Bias(Adapter):
    """logits = exp(log_factor) CLIP's + bias of the class; both pulled towards 0.

    The vector scaling of Guo et al., On Calibration of Modern Neural Networks, ICML 2017, with one
    factor for all classes.
    """

    kind: ClassVar[str] = "bias"
    summary: ClassVar[str] = "calibration: a bias for each class and one factor of the logits"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "log_factor": (), "bias": ("C",), "strength": (),
    }  # fmt: skip
    learned: ClassVar[tuple[str, ...]] = ("log_factor", "bias")
    settings: ClassVar[tuple[Mapping[str, float], ...]] = ({"strength": 1.0}, {"strength": 0.1})

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing; the setting `strength` is that of the pull."""
        own = {
            "log_factor": torch.zeros(()),
            "bias": torch.zeros(task.classes),
            "strength": torch.tensor(settings["strength"]),
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities`, calibrated."""
        own = self.tensors
        return own["log_factor"].exp() * similarities + self._per_query(own["bias"])

    def penalty(self) -> Tensor:
        """Return the pull towards the model as it is."""
        own = self.tensors
        return own["strength"] * (own["log_factor"].square() + own["bias"].square().sum()) / 2
