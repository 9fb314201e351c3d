"""The words of the nano model: classes, synonyms, templates and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import yaml
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

IMAGENET_TEMPLATES: tuple[str, ...] = tuple(fill("{}") for fill in OPENAI_IMAGENET_TEMPLATES)
"""CLIP's 80 templates, each with one `{}`."""

OVERHEAD_TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "the {}",
    "{}.",
    "a satellite image of {}",
    "a satellite image of {}.",
    "a satellite photo of a {}.",
    "satellite imagery of {}",
    "satellite view of {}",
    "an aerial image of {}",
    "an aerial image of a {}.",
    "an aerial photo of {}",
    "an aerial photograph of the {}.",
    "aerial view of {}",
    "an aerial view of a {}.",
    "aerial imagery showing {}",
    "a drone photo of {}",
    "a drone image of a {}.",
    "an orthophoto of {}",
    "an orthophoto showing a {}.",
    "a top-down view of {}",
    "{} seen from above",
    "{} from above",
    "a bird's-eye view of {}",
    "a remote sensing image of {}",
    "a remote sensing image of a {}.",
    "remote sensing imagery of {}.",
    "an overhead image of {}",
    "an overhead view of the {}.",
    "a high resolution satellite image of {}.",
    "a geospatial image with {}.",
    "land cover: {}",
    "land use of {}",
    "the land cover class {}",
    "a patch of {}",
    "an area of {}",
)
"""Phrasings of remote sensing, each with one `{}`."""

CAPTION_TEMPLATES: tuple[str, ...] = (
    "{}",
    "a satellite image of {}",
    "an aerial photo of {}.",
    "an aerial view with {}.",
    "a scene with {}",
    "{} seen from above",
    "an orthophoto showing {}",
    "a photo of {}.",
)

MODIFIERS: tuple[str, ...] = (
    "small", "large", "old", "new", "dark", "bright", "green", "brown", "grey", "white", "red",
    "blue", "dry", "wet", "dense", "sparse", "urban", "rural", "industrial", "empty", "private",
    "public", "long", "narrow", "wide", "natural", "artificial", "flooded", "abandoned", "many",
)  # fmt: skip


@dataclass(frozen=True)
class ClassWords:
    """Words of one class; see vocabulary.yaml for what each list is for."""

    name: str
    trained: tuple[str, ...]
    related: tuple[str, ...]
    unseen: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """All words, the classes in the generator's order."""

    classes: tuple[ClassWords, ...]
    other: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a word that two lists share: it would be both paired and unseen."""
        words = [w for c in self.classes for w in (*c.trained, *c.related, *c.unseen)]
        words += self.other
        twice = sorted({word for word in words if words.count(word) > 1})
        if twice:
            raise ValueError(f"words listed twice: {', '.join(twice)}")

    @property
    def all_words(self) -> list[str]:
        """Every listed word once."""
        of_classes = [w for c in self.classes for w in (*c.trained, *c.related, *c.unseen)]
        return of_classes + list(self.other)


def load_vocabulary(more: bool = False) -> Vocabulary:
    """Read vocabulary.yaml beside this module; with `more`, MORE_CLASSES follow the classes."""
    text = (resources.files("rsclip.nano") / "vocabulary.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    added = raw["more"] if more else {}
    taken = {word for lists in added.values() for words in lists.values() for word in words}
    classes = tuple(
        ClassWords(
            name=name,
            trained=tuple(lists["trained"]),
            related=tuple(lists["related"]),
            unseen=tuple(lists["unseen"]),
        )
        for name, lists in (raw["classes"] | added).items()
    )
    other = (word for words in raw["other"].values() for word in words)
    return Vocabulary(classes, tuple(word for word in other if word not in taken))


def caption(rng: np.random.Generator, words: Sequence[str]) -> str:
    """A caption naming the words in order: "an aerial photo of lake, trees and street."."""
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    template = CAPTION_TEMPLATES[int(rng.integers(len(CAPTION_TEMPLATES)))]
    return template.format(listed)
