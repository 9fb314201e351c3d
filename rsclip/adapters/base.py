"""What an adapter is: small tensors beside a frozen model that change its patches' similarities."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from rsclip.words.class_scores import Layout

__all__ = ["Adapter", "Task", "Tower", "common_tensors"]

Tower = Callable[[str], tuple[Tensor, Callable[[Tensor], Tensor]]]
"""From a context such as "a photo of a" to its token embeddings float32 (M, W), and a function
from changed ones, (M, W) or (Q, M, W), to the queries' unit features (Q, D) behind them."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an adapter is fitted for.

    Attributes:
        text: float32 (Q, D), the unit features of the queries.
        class_index: int64 (Q,), position of each query's class in the legend.
        layout: Which queries speak for which class, and how.
        classes: Number of classes C, background ones included.
        foreground: Number of those that are written; the others come after them.
        logit_scale: Factor from similarity to logits.
        patches: float32 (N, D), features of labelled patches.
        similarities: float32 (N, Q), of the patches with the queries.
        classes_of: int64 (N,), position of each patch's class; background classes all have the
            position of the first of them.
        weights: float32 (N,), how much each patch counts.
        tower: The frozen text tower, where the model has one of CLIP's kind.
    """

    text: Tensor
    class_index: Tensor
    layout: Layout
    classes: int
    foreground: int
    logit_scale: float
    patches: Tensor
    similarities: Tensor
    classes_of: Tensor
    weights: Tensor
    tower: Tower | None = None

    @property
    def groups(self) -> int:
        """Classes that labels tell apart: background classes are one."""
        return self.foreground + (self.classes > self.foreground)

    def of(self, which: Tensor) -> "Task":
        """Return the task with some of its patches only."""
        own = ("patches", "similarities", "classes_of", "weights")
        return replace(self, **{name: getattr(self, name)[which] for name in own})

    def to(self, dtype: torch.dtype) -> "Task":
        """Return the task with its floats in a type."""
        own = ("text", "patches", "similarities", "weights")
        return replace(self, **{name: getattr(self, name).to(dtype) for name in own})


class Adapter(ABC):
    """Base of every kind: called with patches, it gives their similarities anew.

    Each patch is changed by itself, so that neither batches nor areas of interest matter. Changes
    are in units of logits and divided by the logit scale that the adapter was fitted with.

    Args:
        tensors: Everything it consists of, by name; of `shapes`.

    Attributes:
        kind: Name.
        summary: One line.
        shapes: Name of a tensor -> its sizes: Q queries, C classes, D features, or M, N, any.
        learned: Names of the tensors that fitting changes.
        settings: What cross-validation tries, as `start` takes it.
        steps: Of the solver, at most.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    shapes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    learned: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[tuple[Mapping[str, float], ...]] = ({},)
    steps: ClassVar[int] = 200

    common: ClassVar[Mapping[str, tuple[str, ...]]] = {"class_index": ("Q",), "logit_scale": ()}

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)

    @classmethod
    @abstractmethod
    def start(cls, task: Task, settings: Mapping[str, float]) -> Self:
        """Return the adapter that fitting begins with: one that changes nothing.

        Args:
            task: What it is fitted for.
            settings: One of `settings`.
        """

    @abstractmethod
    def __call__(self, patches: Tensor, similarities: Tensor) -> Tensor:
        """Return the similarities of patches with queries, changed.

        Args:
            patches: float32 (N, D), L2-normalised.
            similarities: float32 (N, Q), as the method gives them.

        Returns:
            float32 (N, Q).
        """

    def penalty(self) -> Tensor:
        """Return how far the learned tensors are from where they began, a scalar to be kept small.

        One unit is worth a labelled polygon's cross entropy.
        """
        return torch.zeros(())

    def kept(self) -> Self:
        """Return the adapter without what only fitting needs: `shapes` are its tensors."""
        return self

    def to(self, device: Any, dtype: torch.dtype | None = None) -> Self:
        """Return the adapter on a device, its floats in a type."""
        return type(self)(
            {
                name: each.to(device, dtype if each.is_floating_point() else None)
                for name, each in self.tensors.items()
            }
        )

    def _per_query(self, per_class: Tensor) -> Tensor:
        """Return values of classes (..., C) as those of their queries (..., Q), in similarity."""
        return per_class[..., self.tensors["class_index"]] / self.tensors["logit_scale"]


def common_tensors(task: Task) -> dict[str, Tensor]:
    """Return the tensors that every kind has."""
    return {"class_index": task.class_index, "logit_scale": torch.tensor(task.logit_scale)}
