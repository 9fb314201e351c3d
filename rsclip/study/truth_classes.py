"""Which class of a legend a label means, by its name or its value: one rule for all files."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsclip.errors import LegendError
from rsclip.study.truth_grids import UNKNOWN
from rsclip.words.legend import UNCLASSIFIED, Legend

__all__ = [
    "LabelClasses",
    "as_labels_tell",
    "catch_all",
    "names_nothing",
    "names_unknown",
    "pack_colour",
]

# Where these stand nobody has looked, or nothing was seen.
_NOT_KNOWN = frozenset(("", "unlabelled", "unlabeled", "nodata", "no data"))
_NOTHING = _NOT_KNOWN | {"0", "unclassified", "background", "none"}
_OTHER = "other"
_OTHERS = frozenset((_OTHER, "others", "clutter"))
_WHOLE = re.compile(r"\s*-?\d+(\.0*)?\s*")
_COLOUR = re.compile(r"\s*#([0-9a-fA-F]{6})\s*")


class LabelClasses:
    """The classes of a legend as label files write them.

    By name: a class's name or one of its words, whatever the case, underscores or spaces at the
    ends. By value: the classes' codes where any has one, else the legend's values. By colour, in
    rasters of three bands: the classes' own.

    Args:
        legend: Classes.
        mapping: A label's value or name -> a class of the legend, "other" for none of them, or
            None for a label that does not count. With it nothing else is taken for a class.
        ignore: Values and names of labels that do not count.

    Attributes:
        by_value: A label's value -> legend value, 0 for background classes.
        by_colour: The same of colours, as `pack_colour` gives them.
        strict: There is a mapping.
        unmet: Names to ignore, in lower case, that no label has been seen to have.

    Raises:
        LegendError: The mapping leads to a class that the legend lacks.
    """

    def __init__(
        self,
        legend: Legend,
        mapping: Mapping[str, str | None] | None = None,
        ignore: Collection[str] = (),
    ) -> None:
        self._by_name: dict[str, int] = {}
        for item in legend.classes:
            for word in (item.name, *item.words):
                self._by_name.setdefault(_plain(word), item.value)
        taken = {item.code: item for item in legend.classes if item.code is not None}
        taken = taken or {item.value: item for item in legend.foreground}
        self.by_value: Mapping[int, int] = {value: item.value for value, item in taken.items()}
        self._taken = [
            f"{value} {item.name}" for value, item in taken.items() if item.name != str(value)
        ]
        self.by_colour: Mapping[int, int] = {
            pack_colour(*item.colour): item.value for item in legend.classes
        }
        self.strict = mapping is not None
        self._said = {_plain(key): self._target(name) for key, name in (mapping or {}).items()}
        self._said |= dict.fromkeys(map(_plain, ignore), UNKNOWN)
        self.unmet = {
            name
            for name in map(_plain, ignore)
            if not (_WHOLE.fullmatch(name) or _COLOUR.fullmatch(name))
        }

    def _target(self, name: str | None) -> int:
        if name is None or _plain(name) in ("", "ignore"):
            return UNKNOWN
        found = self.named(name)
        if found is None and _plain(name) not in (_OTHER, "unclassified"):
            raise LegendError(
                f"the map has no class {name!r}",
                where="--mapping",
                remedy="Name a class of the map, `other` for none of them, or `ignore`.",
            )
        return found or UNCLASSIFIED

    def said(self, label: str) -> int | None:
        """Return what the mapping or the ignored labels say of a label; None if nothing."""
        self.unmet.discard(_plain(label))
        return self._said.get(_plain(label))

    def said_values(self, names: Mapping[int, str]) -> dict[int, int]:
        """Return value -> legend value for what they say of a raster's values and names."""
        found = {int(float(key)): to for key, to in self._said.items() if _WHOLE.fullmatch(key)}
        by_name = {value: self.said(name) for value, name in names.items()}
        return found | {value: to for value, to in by_name.items() if to is not None}

    def said_colours(self) -> dict[int, int]:
        """Return colour -> legend value for what they say of colours, as in "#ff0000"."""
        found = {_COLOUR.fullmatch(key): to for key, to in self._said.items()}
        return {int(match[1], 16): to for match, to in found.items() if match}

    def named(self, name: str) -> int | None:
        """Return the legend value of a name: 0 for background classes, None if there is none."""
        return self._by_name.get(_plain(name))

    def numbered(self, entry: Any) -> int | None:
        """Return the legend value of a number or its text; None if it is that of no class."""
        if isinstance(entry, str) and not _WHOLE.fullmatch(entry):
            return None
        try:
            number = float(entry)
        except (TypeError, ValueError):
            return None
        # Only whole values are classes; equal numbers hash alike.
        return self.by_value.get(number)  # type: ignore[call-overload, no-any-return]

    def taken(self) -> str:
        """Say which value is taken for which class; "" where classes are named by values."""
        return f"values are taken for {', '.join(self._taken)}" if self._taken else ""


def pack_colour(red: int, green: int, blue: int) -> int:
    """Return a colour (0 to 255 each) as one number."""
    return red << 16 | green << 8 | blue


def catch_all(legend: Legend) -> tuple[int, ...]:
    """Return the legend values that stand for everything else."""
    named = [
        item.value
        for item in legend.foreground
        if names_nothing(item.name) or item.name.casefold() in _OTHERS
    ]
    return (UNCLASSIFIED, *named)


def as_labels_tell(
    truth: NDArray[np.int32], predicted: NDArray[np.int32], lacking: Iterable[int]
) -> NDArray[np.int32]:
    """Return a map's classes as far as the labels can judge them.

    Where they say "none of our classes", a class that they lack altogether is not held against the
    map: it counts as 0 there.

    Args:
        truth: Legend values, 0 for none of the labels' classes, negative where unknown.
        predicted: The map's, of the same shape.
        lacking: Legend values that the labels do not have.
    """
    unjudged = (truth == 0) & np.isin(predicted, list(lacking))
    return np.where(unjudged, np.int32(0), predicted)


def names_nothing(name: str) -> bool:
    """Say whether a name is one that value 0 has where it is no class, or 0 itself."""
    return _plain(name) in _NOTHING


def names_unknown(name: str) -> bool:
    """Say whether a name tells that nothing is known of a place: not even that it is no class."""
    return _plain(name) in _NOT_KNOWN


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name).strip().casefold()
