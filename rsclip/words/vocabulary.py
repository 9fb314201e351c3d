"""Which words has a model with a small vocabulary not learned?

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

from rsclip.errors import ModelError

__all__ = ["UnknownWord", "check_words", "checked_vocabulary"]


@dataclass(frozen=True)
class UnknownWord:
    """A word that the model has not learned.

    Attributes:
        word: The word as it was given.
        nearest: The known word nearest to it.
        similarity: Their cosine, -1 to 1; below the vocabulary's threshold.
    """

    word: str
    nearest: str
    similarity: float


def checked_vocabulary(content: Any, where: object) -> Mapping[str, Any]:
    """Return the content of a `vocabulary.json`, once its parts are of the right kinds.

    Raises:
        ModelError: A part is missing or nonsense.
    """
    if not isinstance(content, Mapping) or not (
        _is_cosine(content.get("threshold"))
        and _is_template(content.get("template"))
        and _are_classes(content.get("classes"))
    ):
        raise ModelError(
            "this file does not describe a vocabulary",
            where=where,
            remedy='It is {"threshold": 0.5, "template": "{}", "classes": {"water": ["lake"]}}.',
        )
    return content


def _is_cosine(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1


def _is_template(value: Any) -> bool:
    if not isinstance(value, str) or value.count("{}") != 1:
        return False
    return not set(value.replace("{}", "")) & set("{}")


def _are_classes(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(words, list) and len(words) > 0 for words in value.values())
        and all(isinstance(word, str) for words in value.values() for word in words)
    )


def _unit(features: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    unit: npt.NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def check_words(
    embed: Callable[[list[str]], npt.NDArray[Any]],
    words: Sequence[str],
    vocabulary: Mapping[str, Any],
) -> list[UnknownWord]:
    """Return the words that the model has not learned: none that it knows is similar to them.

    Args:
        embed: Text features (len(prompts), D) of prompts, of any length; called once or not at
            all.
        words: English words or short phrases, without a template. Case and outer blanks do not
            matter; a known word is near without being embedded.
        vocabulary: The content of `vocabulary.json`: `classes` maps a class to its known words, a
            word whose cosines all lie below `threshold` is unknown, `template` (one `{}`) makes
            the prompts.

    Returns:
        One record for each unknown word, in the order given, repeats once.
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
    unknown = []
    for i, word in enumerate(asked):
        best = float(similarity[i, nearest[i]])
        if best < vocabulary["threshold"]:
            unknown.append(UnknownWord(word, known[nearest[i]], best))
    return unknown
