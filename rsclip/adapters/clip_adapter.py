"""CLIP-Adapter: a residual bottleneck on the patch features, the words' features, or both."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["ClipAdapter"]

_NARROWER = 4
_SEED = 0


class ClipAdapter(Adapter):
    """similarities = the method's + f' . t' - f . t, f' = r A(f) + (1 - r) f, as long as f.

    Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024, on the
    image side (f), the text side (t' likewise, with a map B and a ratio of its own) or both. A is
    two linear maps with a quarter of the channels and a ReLU between them, r is 0.2, or 0 on a side
    that is left alone. The second map begins at 0, so that the adapter begins by changing nothing.
    """

    kind: ClassVar[str] = "clip-adapter"
    summary: ClassVar[str] = (
        "CLIP-Adapter: a residual bottleneck on the features of patches, words or both"
    )
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "text": ("Q", "D"), "strength": (), "image": (), "words": (),
        "down": ("M", "D"), "up": ("D", "M"), "words_down": ("M", "D"), "words_up": ("D", "M"),
    }  # fmt: skip
    learned: ClassVar[tuple[str, ...]] = ("down", "up", "words_down", "words_up")
    settings: ClassVar[tuple[Mapping[str, float], ...]] = tuple(
        {"image": image, "words": words, "strength": strength}
        for image, words in ((0.2, 0.0), (0.0, 0.2), (0.2, 0.2))
        for strength in (0.01, 0.001)
    )

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing.

        Args:
            task: What it is fitted for.
            settings: `image` and `words`, the ratio r of each side; `strength` of the pull.
        """
        size = task.text.shape[1]
        narrow = max(size // _NARROWER, 1)
        chance = torch.Generator().manual_seed(_SEED)
        own = {
            "text": task.text,
            "down": torch.randn(narrow, size, generator=chance),
            "up": torch.zeros(size, narrow),
            "words_down": torch.randn(narrow, size, generator=chance),
            "words_up": torch.zeros(size, narrow),
            **{name: torch.tensor(settings[name]) for name in ("strength", "image", "words")},
        }
        return cls(common_tensors(task) | own)

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with those of the changed features less the old ones added."""
        own = self.tensors
        text = own["text"]
        moved = _blended(text, own["words_down"], own["words_up"], own["words"])
        changed = _blended(patches, own["down"], own["up"], own["image"])
        added: Tensor = changed @ moved.T - patches @ text.T
        return similarities + added

    def penalty(self) -> Tensor:
        """Return the pull of both maps towards 0."""
        squares = [self.tensors[name].square().sum() for name in self.learned]
        return self.tensors["strength"] * torch.stack(squares).sum() / 2


def _blended(features: Tensor, down: Tensor, up: Tensor, ratio: Tensor) -> Tensor:
    # Blended patches and classes without words are shorter than 1: what is not changed stays.
    length = features.norm(dim=-1, keepdim=True)
    learned = (features @ down.T).relu() @ up.T
    blended: Tensor = F.normalize(ratio * learned + (1 - ratio) * features, dim=-1) * length
    return blended
