"""Tip-Adapter's cache: labelled patches as keys, and how near a patch is to those of a class."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["Prototype"]


class Prototype(Adapter):
    """logits = CLIP's + alpha times the mean over a class's keys of exp(-beta (1 - cosine)).

    Zhang et al., Tip-Adapter: Training-free Adaption of CLIP, ECCV 2022, equations 4 and 5; the
    mean in place of their sum, since classes have unequal numbers of labelled patches.
    """

    kind: ClassVar[str] = "prototype"
    summary: ClassVar[str] = "Tip-Adapter: nearness to the labelled patches of each class"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "keys": ("M", "D"), "values": ("M", "C"), "alpha": (), "beta": (),
    }  # fmt: skip
    settings: ClassVar[tuple[Mapping[str, float], ...]] = tuple(
        {"alpha": alpha, "beta": beta} for beta in (5.0, 20.0) for alpha in (5.0, 20.0)
    )

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter: there is nothing to learn but the keys."""
        values = F.one_hot(task.classes_of, task.classes) * task.weights[:, None]
        own = {
            "keys": F.normalize(task.patches, dim=-1),
            "values": values / values.sum(0).clamp(min=1e-12),
            "alpha": torch.tensor(settings["alpha"]),
            "beta": torch.tensor(settings["beta"]),
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with the nearness to each class's keys added."""
        own = self.tensors
        near = torch.exp(-own["beta"] * (1 - patches @ own["keys"].T))
        return similarities + self._per_query(own["alpha"] * (near @ own["values"]))
