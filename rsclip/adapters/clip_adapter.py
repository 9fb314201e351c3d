"""CLIP-Adapter: a residual bottleneck on the patch features."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["ClipAdapter"]

_RATIO = 0.2
_NARROWER = 4
_SEED = 0


class ClipAdapter(Adapter):
    """similarities = the method's + (f' - f) . t, f' = r A(f) + (1 - r) f, L2-normalised.

    Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024, on the
    image side: A is two linear maps with a quarter of the channels and a ReLU between them, r is
    0.2. The second map begins at 0, so that the adapter begins by changing nothing.
    """

    kind: ClassVar[str] = "clip-adapter"
    summary: ClassVar[str] = "CLIP-Adapter: a residual bottleneck on the patch features"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "text": ("Q", "D"), "down": ("M", "D"), "up": ("D", "M"), "strength": (),
    }  # fmt: skip
    learned: ClassVar[tuple[str, ...]] = ("down", "up")
    settings: ClassVar[tuple[Mapping[str, float], ...]] = ({"strength": 0.01}, {"strength": 0.001})

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing; the setting `strength` is that of the pull."""
        size = task.text.shape[1]
        narrow = max(size // _NARROWER, 1)
        chance = torch.Generator().manual_seed(_SEED)
        own = {
            "text": task.text,
            "down": torch.randn(narrow, size, generator=chance),
            "up": torch.zeros(size, narrow),
            "strength": torch.tensor(settings["strength"]),
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with those of the changed patches less the old ones added."""
        own = self.tensors
        learned = (patches @ own["down"].T).relu() @ own["up"].T
        # Blended features are shorter than 1; what is not changed must stay as it is.
        length = patches.norm(dim=-1, keepdim=True)
        changed = F.normalize(_RATIO * learned + (1 - _RATIO) * patches, dim=-1) * length
        moved: Tensor = (changed - patches) @ own["text"].T
        return similarities + moved

    def penalty(self) -> Tensor:
        """Return the pull of both maps towards 0."""
        own = self.tensors
        return own["strength"] * (own["down"].square().sum() + own["up"].square().sum()) / 2
