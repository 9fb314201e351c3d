"""CoOp: learned context vectors before the words, through the frozen text tower."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task, common_tensors

__all__ = ["Coop"]

_CONTEXT = "a photo of a"


class Coop(Adapter):
    """similarities = the method's + patch . (t' - t), t' = t + g(v, word) - g(v0, word).

    Zhou et al., Learning to Prompt for Vision-Language Models, IJCV 2022: g is the text tower, v
    the vectors in the place of the tokens of "a photo of a", shared by all queries or one set for
    each, v0 those that they begin as. The difference is added to the feature t of all templates,
    and t' brought to the length of t, so that the adapter begins by changing nothing. Only t' - t
    is kept: no tower is needed to use it.
    """

    kind: ClassVar[str] = "coop"
    summary: ClassVar[str] = "CoOp: context vectors before the words, through the text tower"
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {"added": ("Q", "D"), "strength": ()}
    learned: ClassVar[tuple[str, ...]] = ("context",)
    settings: ClassVar[tuple[Mapping[str, float], ...]] = (
        {"shared": 1.0, "strength": 0.1}, {"shared": 0.0, "strength": 0.1},
    )  # fmt: skip
    # Every step runs the text tower, forwards and back.
    steps: ClassVar[int] = 30

    _encode: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that changes nothing; the setting `strength` is that of the pull.

        Raises:
            ModelError: The model has no text tower of CLIP's kind.
        """
        assert task.tower is not None
        begin, encode = task.tower(_CONTEXT)
        each = begin if settings["shared"] else begin.expand(len(task.text), *begin.shape)
        own = {
            "text": task.text,
            "first": encode(begin).detach().cpu(),
            "begin": begin.cpu(),
            "context": each.cpu().clone(),
            "strength": torch.tensor(settings["strength"]),
        }
        found = cls(common_tensors(task) | own)
        found._encode = encode
        return found

    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return `similarities` with those of the moved text features less the old ones added."""
        changed: Tensor = similarities + patches @ self._added().T
        return changed

    def penalty(self) -> Tensor:
        """Return the pull of the vectors towards those that they began as."""
        begin = self.tensors["begin"]
        away = (self.tensors["context"] - begin).square().sum() / begin.square().sum(-1).mean()
        return self.tensors["strength"] * away / 2

    def kept(self) -> Self:
        """Return the adapter with what was added to the text features alone."""
        names = (*self.common, "strength")
        own = {name: self.tensors[name] for name in names}
        return type(self)(own | {"added": self._added().detach()})

    def to(self, device: Any, dtype: torch.dtype | None = None) -> Self:
        """Return the adapter on a device, its floats in a type."""
        found = super().to(device, dtype)
        found._encode = self._encode
        return found

    def _added(self) -> Tensor:
        if self._encode is None:
            return self.tensors["added"]
        text = self.tensors["text"]
        behind = self._encode(self.tensors["context"]).to(text.device, text.dtype)
        length = text.norm(dim=-1, keepdim=True)
        moved: Tensor = F.normalize(text + behind - self.tensors["first"], dim=-1) * length
        return moved - text
