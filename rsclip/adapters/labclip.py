"""LABCLIP: one linear map on the text features."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["Labclip"]


class Labclip(Adapter):
    """similarities = the method's + patch . (t' - t), t' = t + M t, L2-normalised; M begins at 0.

    The map of Koishigarina et al., CLIP Behaves like a Bag-of-Words Model Cross-modally but not
    Uni-modally, arXiv 2502.03566, 2025, here fitted to labelled patches. All classes share it, so
    that it also moves classes without labels.
    """

    kind: ClassVar[str] = "labclip"
    summary: ClassVar[str] = "LABCLIP: one linear map on the words' features"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "text": ("Q", "D"), "map": ("D", "D"), "strength": (),
    }  # fmt: skip
    learned: ClassVar[tuple[str, ...]] = ("map",)
    settings: ClassVar[tuple[Mapping[str, float], ...]] = ({"strength": 1.0}, {"strength": 0.1})

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing; the setting `strength` is that of the pull."""
        size = task.text.shape[1]
        own = {
            "text": task.text,
            "map": torch.zeros(size, size),
            "strength": torch.tensor(settings["strength"]),
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with those of the moved text features less the old ones added."""
        text = self.tensors["text"]
        # The feature of a class without words, their mean, is shorter than 1.
        length = text.norm(dim=-1, keepdim=True)
        moved = F.normalize(text + text @ self.tensors["map"].T, dim=-1) * length
        added: Tensor = patches @ (moved - text).T
        return similarities + added

    def penalty(self) -> Tensor:
        """Return the pull of the map towards none."""
        return self.tensors["strength"] * self.tensors["map"].square().sum() / 2
