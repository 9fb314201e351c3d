"""What a model with a small vocabulary knows, and which words lie far from it.

A CLIP trained on the web knows most words a little; one trained on few concepts does not, and
answers for any word all the same. A model folder with a `vocabulary.json` says what the model has
learned:

    {"threshold": 0.5, "template": "{}", "classes": {"water": ["water", "lake", ...], ...}}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FarWord", "check_words"]


@dataclass(frozen=True)
class FarWord:
    """A word that the model has not learned.

    Attributes:
        word: The word as it was given.
        nearest: The known word nearest to it.
        similarity: Their cosine, -1 to 1; below the vocabulary's threshold.
    """

    word: str
    nearest: str
    similarity: float


def _unit(features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def check_words(
    embed: Callable[[list[str]], npt.NDArray[Any]],
    words: Sequence[str],
    vocabulary: Mapping[str, Any],
) -> list[FarWord]:
    """The words that are far from every word the model knows.

    Args:
        embed: Text features (len(prompts), D) of prompts, of any length; called once or not at
            all.
        words: English words or short phrases, without a template. Case and outer blanks do not
            matter; a known word is near without being embedded.
        vocabulary: The content of `vocabulary.json`: `classes` maps a class to its known words, a
            cosine below `threshold` is far, `template` (one `{}`) makes the prompts.

    Returns:
        One record a far word, in the order given, doubles once.
    """
    known = [word for of_class in vocabulary["classes"].values() for word in of_class]
    plain = {word: " ".join(word.lower().split()) for word in dict.fromkeys(words)}
    asked = [word for word in plain if plain[word] not in known]
    if not asked:
        return []
    template = vocabulary["template"]
    prompts = [template.format(plain[word]) for word in asked]
    prompts += [template.format(word) for word in known]
    features = _unit(embed(prompts))
    similarity = features[: len(asked)] @ features[len(asked) :].T
    nearest = similarity.argmax(axis=1)
    far = []
    for i, word in enumerate(asked):
        best = float(similarity[i, nearest[i]])
        if best < vocabulary["threshold"]:
            far.append(FarWord(word, known[nearest[i]], best))
    return far
