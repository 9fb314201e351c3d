"""Background words that come with rsclip (configs/background.yaml)."""

from collections.abc import Sequence
from functools import cache

import yaml

from rsclip.files import config_path
from rsclip.words.class_words import Draft

__all__ = ["bundled_background"]


def bundled_background(words: Sequence[str]) -> list[Draft]:
    """Return the bundled background classes that mean something else than the words."""
    meant: set[str] = set()
    for word in words:
        text = word.casefold()
        # "a house on a hill" and "body of water" are known by their own entries only.
        for form in (text, text.split()[-1]):
            meant |= {form, form.removesuffix("s")}
    return [
        Draft(entry["words"][0], tuple(entry["words"]), "bundled background", background=True)
        for entry in _entries()
        if meant.isdisjoint([*entry["words"], *entry["related"]])
    ]


@cache
def _entries() -> list[dict[str, list[str]]]:
    entries: list[dict[str, list[str]]] = yaml.safe_load(
        config_path("background.yaml").read_text("utf-8")
    )
    return entries
