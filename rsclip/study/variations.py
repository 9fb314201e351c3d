"""Settings that are tried beside one another: pixel sizes, word variants, thresholds."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rsclip.errors import LegendError, OptionError
from rsclip.run.scenes_and_classes import ClassesRead
from rsclip.words.legend import LegendSpec, class_file

__all__ = ["WORD_VARIANTS", "Variation", "vary"]

WORD_VARIANTS = ("given", "first", "tuned")
"""Words as given; the first of each class alone; the `tuned` ones of a set or a class file."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One combination.

    Attributes:
        gsd: Pixel size in metres, or None: as the settings have it.
        words: One of `WORD_VARIANTS`.
        threshold: Lowest score that keeps a label, or None: as the settings have it.
        classes: The classes with these words.
    """

    gsd: float | None
    words: str
    threshold: float | None
    classes: ClassesRead

    @property
    def settings(self) -> dict[str, Any]:
        """Fields of `SegmentConfig` that it sets."""
        own = {"gsd": self.gsd, "threshold": self.threshold}
        return {name: value for name, value in own.items() if value is not None}

    @property
    def label(self) -> str:
        """What tells it from the settings as they are: "0.5 m, tuned words"; "" for those."""
        parts = [
            "" if self.gsd is None else f"{self.gsd:g} m",
            "" if self.words == WORD_VARIANTS[0] else f"{self.words} words",
            "" if self.threshold is None else f"threshold {self.threshold:g}",
        ]
        return ", ".join(filter(None, parts))

    @property
    def slug(self) -> str:
        """The same as part of a file's name, "-0.5-m-tuned-words"; "" for the settings' own."""
        return "".join(f"-{part.replace(' ', '-')}" for part in self.label.split(", ") if part)


def vary(
    classes: LegendSpec | None,
    background: str | None,
    adapter: str | None = None,
    *,
    gsd: Sequence[float] = (),
    words: Sequence[str] = (),
    thresholds: Sequence[float] = (),
) -> list[Variation]:
    """Return every combination, each once, in the order given.

    Args:
        classes: As `rsclip.segment` takes them; None: those of the adapter.
        background: As `SegmentConfig.background`.
        adapter: As `SegmentConfig.adapter`.
        gsd: Pixel sizes in metres.
        words: Some of `WORD_VARIANTS`.
        thresholds: 0 to 1.

    Raises:
        OptionError: A value is out of range.
        LegendError: The classes are wrong, or have no tuned words.
    """
    if any(size <= 0 for size in gsd):
        raise OptionError("a pixel size is above 0", where="--gsd", remedy="Give metres.")
    if any(not 0 <= value <= 1 for value in thresholds):
        raise OptionError("a threshold is from 0 to 1", where="--thresholds")
    if unknown := [name for name in words if name not in WORD_VARIANTS]:
        raise OptionError(
            f"no words {unknown[0]!r}", where="--words",
            remedy=f"Give some of {', '.join(WORD_VARIANTS)}.",
        )  # fmt: skip
    names = tuple(dict.fromkeys(words)) or WORD_VARIANTS[:1]
    read = {name: _read(classes, background, adapter, name) for name in names}
    sizes: Sequence[float | None] = tuple(dict.fromkeys(gsd)) or (None,)
    levels: Sequence[float | None] = tuple(dict.fromkeys(thresholds)) or (None,)
    return [
        Variation(size, name, level, read[name])
        for size, name, level in itertools.product(sizes, names, levels)
    ]


def _read(
    classes: LegendSpec | None, background: str | None, adapter: str | None, words: str
) -> ClassesRead:
    if words == "tuned":
        named = isinstance(classes, str) and classes.strip().lower().startswith("set:")
        if classes is None or not (named or class_file(classes)):
            raise LegendError(
                "tuned words are those of a set or a class file", where="--words",
                remedy="Name one, or leave tuned out.",
            )  # fmt: skip
        classes = f"{str(classes).strip().removesuffix(':tuned')}:tuned"
    read = ClassesRead.read(classes, background, adapter)
    if words == "first":
        own = [
            item if item.background else replace(item, words=item.words[:1], descriptions=())
            for item in read.legend.classes
        ]
        return replace(read, legend=replace(read.legend, classes=tuple(own)))
    return read
