"""A class's similarity from those of its words."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rsclip.types import Synonyms
from rsclip.words.legend import Legend
from rsclip.words.prompts import Query

__all__ = ["Layout", "class_value"]


def class_value(
    words: Sequence[Any],
    negatives: Sequence[Any],
    synonyms: Synonyms,
    scale: float | np.float32,
    xp: Any = np,
) -> Any:
    """Return a class's similarity s.

    Of words w and negative words n with similarities s_w, s_n

        p = max s_w,  mean s_w,  or log(sum exp(scale s_w)) / scale
        s = p - max(0, max s_n - p)

    Args:
        words: Similarities of its words, at least one, each an array of the same shape.
        negatives: Likewise of its negative words.
        synonyms: Which p.
        scale: Factor from similarity to logits.
        xp: The arrays' library, numpy or torch.
    """
    if synonyms == "max" or len(words) == 1:
        value = functools.reduce(xp.maximum, words)
    elif synonyms == "mean":
        value = functools.reduce(xp.add, words) / len(words)
    else:
        value = functools.reduce(xp.logaddexp, [scale * each for each in words]) / scale
    if not negatives:
        return value
    against = functools.reduce(xp.maximum, negatives)
    return xp.minimum(value, 2 * value - against)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which queries speak for which class, and how they become its logit.

    Attributes:
        words: Numbers of the queries of each class.
        negatives: Likewise of its negative words.
        bias: Added to each class's logit.
        synonyms: As `class_value` takes it.
    """

    words: tuple[tuple[int, ...], ...]
    negatives: tuple[tuple[int, ...], ...]
    bias: tuple[float, ...]
    synonyms: Synonyms = "max"

    @classmethod
    def of(cls, legend: Legend, queries: Sequence[Query], synonyms: Synonyms = "max") -> Self:
        """Return the layout of a legend's queries."""
        words, negatives = (
            tuple(
                tuple(
                    number
                    for number, query in enumerate(queries)
                    if query.class_index == position and query.negative is negative
                )
                for position in range(len(legend.classes))
            )
            for negative in (False, True)
        )
        return cls(words, negatives, tuple(item.bias for item in legend.classes), synonyms)

    def logits(self, similarities: Any, scale: float | np.float32, xp: Any = np) -> Any:
        """Return the logits of classes (..., C) from the similarities of queries (..., Q).

        Args:
            similarities: An array or a tensor.
            scale: Factor from similarity to logits.
            xp: Its library, numpy or torch.
        """
        found = [
            scale
            * class_value(
                [similarities[..., number] for number in words],
                [similarities[..., number] for number in negatives],
                self.synonyms,
                scale,
                xp,
            )
            + bias
            for words, negatives, bias in zip(self.words, self.negatives, self.bias, strict=True)
        ]
        return xp.stack(found, -1)
