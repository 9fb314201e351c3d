"""Which classes does a run have? Values, names, words, colours; background classes are 0."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rsclip.errors import LegendError, warn
from rsclip.files import expand
from rsclip.words.bundled_background import bundled_background
from rsclip.words.calibration import Calibration
from rsclip.words.class_files import (
    FILE_SUFFIXES,
    Drafts,
    check_english,
    draft_of,
    drafts_of_content,
    read_class_file,
)
from rsclip.words.class_sets import bundled_sets, set_file, variants
from rsclip.words.class_words import Draft, drafts_of_words
from rsclip.words.colours import RGB, UNCLASSIFIED_RGB, choose_colours

__all__ = [
    "UNCLASSIFIED",
    "UNCLASSIFIED_NAME",
    "Legend",
    "LegendClass",
    "LegendSpec",
    "class_file",
    "load_legend",
    "load_set_or_file",
]

UNCLASSIFIED = 0
UNCLASSIFIED_NAME = "unclassified"

_MAX_UINT8 = 254
_MAX_CLASSES = 65534
_SET_PREFIX = "set:"
_LIKE_A_FILE = re.compile(r"^set:|\.[a-z]{3,5}$|\\", re.IGNORECASE)
_TUNED = ":tuned"
_SHARED = (
    "name", "words", "descriptions", "threshold", "background", "code", "evidence", "negatives",
    "bias",
)  # fmt: skip
_ABOUT = ("name", "description", "source", "licence")


@dataclass(frozen=True, slots=True)
class LegendClass:
    """One class.

    Attributes:
        name: As shown, any language.
        words: English synonyms, each a query; none where only labels can teach the class.
        descriptions: English sentences, each a query of its own.
        colour: (r, g, b), 0 to 255.
        threshold: Lowest score (0 to 1) that keeps the label, or None for the run's own.
        background: Competes, but is written as 0.
        value: The label: 1..N, and 0 for background classes.
        code: The class's value in its data set's own label rasters, or None.
        evidence: Rules on other bands that it should meet (`rsclip.words.evidence_rules`), as
            written.
        negatives: English words that speak against it; each is a query.
        bias: Added to its logit.
    """

    name: str
    words: tuple[str, ...]
    descriptions: tuple[str, ...] = ()
    colour: RGB = UNCLASSIFIED_RGB
    threshold: float | None = None
    background: bool = False
    value: int = UNCLASSIFIED
    code: int | None = None
    evidence: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    bias: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; the keys from `code` on only where there is some."""
        return {
            "value": self.value,
            "name": self.name,
            "words": list(self.words),
            "descriptions": list(self.descriptions),
            "colour": "#{:02x}{:02x}{:02x}".format(*self.colour),
            "threshold": self.threshold,
            "background": self.background,
            **({} if self.code is None else {"code": self.code}),
            **({"evidence": list(self.evidence)} if self.evidence else {}),
            **({"not": list(self.negatives)} if self.negatives else {}),
            **({"bias": self.bias} if self.bias else {}),
        }


@dataclass(frozen=True, slots=True)
class Legend:
    """Classes in order: foreground with values 1..N, then background classes with value 0.

    Attributes:
        classes: All classes.
        about: What the set says of itself: name, description, source, licence.
        calibration: Numbers that hold for all classes.

    Raises:
        LegendError: Classes clash, are out of order, or there is none to write.
    """

    classes: tuple[LegendClass, ...]
    about: tuple[tuple[str, str], ...] = ()
    calibration: Calibration = Calibration()

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        _check([_draft(item) for item in self.classes])
        values = [item.value for item in self.classes]
        wanted = [*range(1, len(self.foreground) + 1), *(0 for _ in self.background)]
        if values != wanted:
            raise LegendError(
                "values are not 1..N in order, background classes last with 0",
                remedy="Use load_legend, which numbers classes.",
            )

    @property
    def foreground(self) -> tuple[LegendClass, ...]:
        """Classes that are written, in order of value."""
        return tuple(item for item in self.classes if not item.background)

    @property
    def background(self) -> tuple[LegendClass, ...]:
        """Classes that compete and are written as 0."""
        return tuple(item for item in self.classes if item.background)

    @property
    def dtype(self) -> str:
        """Type of labels: uint8 up to 254 classes, else uint16."""
        return "uint8" if len(self.foreground) <= _MAX_UINT8 else "uint16"

    @property
    def nodata(self) -> int:
        """Label of pixels without data: the highest value of the type."""
        return 255 if self.dtype == "uint8" else 65535

    @property
    def colours(self) -> dict[int, RGB]:
        """Value -> (r, g, b) of 0 (unclassified) and every foreground class."""
        return {
            UNCLASSIFIED: UNCLASSIFIED_RGB,
            **{item.value: item.colour for item in self.foreground},
        }

    @property
    def names(self) -> dict[int, str]:
        """Value -> name of 0 (unclassified) and every foreground class."""
        return {
            UNCLASSIFIED: UNCLASSIFIED_NAME,
            **{item.value: item.name for item in self.foreground},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; `from_dict` reads them back."""
        return {
            **dict(self.about),
            **self.calibration.to_dict(),
            "dtype": self.dtype,
            "nodata": self.nodata,
            "classes": [item.to_dict() for item in self.classes],
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave, as from a run record.

        Raises:
            LegendError: The mapping is damaged.
        """
        where = "classes of the record"
        try:
            entries = [dict(entry) for entry in mapping["classes"]]
            values = [entry.pop("value") for entry in entries]
        except (KeyError, TypeError, ValueError) as error:
            raise LegendError(
                "the mapping does not come from Legend.to_dict", where=where
            ) from error
        drafts = [draft_of(entry, where) for entry in entries]
        about = tuple((key, str(mapping[key])) for key in _ABOUT if key in mapping)
        return cls(
            tuple(
                _class(draft, draft.colour or UNCLASSIFIED_RGB, value)
                for draft, value in zip(drafts, values, strict=True)
            ),
            about,
            Calibration.read(mapping, where),
        )


LegendSpec = str | Path | Sequence[str] | Mapping[str, Any] | Legend
"""What `load_legend` reads."""


def load_legend(
    spec: LegendSpec,
    background: str | None = None,
    *,
    english: bool = True,
    without_words: bool = False,
) -> Legend:
    """Read classes from words, a file, a bundled set or Python values.

    A single class without background classes competes with the bundled background words
    (configs/background.yaml): alone it would win every pixel. This is said in a warning.

    Args:
        spec: Words ("building|house, road"), a path ending in .txt, .yaml, .yml, .json or .csv,
            "set:NAME", a sequence of classes (["building|house", "road"]), a mapping
            ({name: words} or one with `classes`), or a `Legend`. A `Path` is always a file.
            "?name" is a class without words.
            ":tuned" after a set or a file takes each class's `tuned` words where it has some.
        background: Words in the same form; each comma item is a background class.
        english: Refuse words that are not written in plain English letters.
        without_words: Classes may have no words: labels teach them.

    Returns:
        Classes with values: foreground 1..N in the order written, then background classes (0).

    Raises:
        LegendError: The specification, a class or a file is wrong.
    """
    drafts = _drafts(spec)
    classes = list(drafts.classes)
    if background is not None:
        classes += drafts_of_words(background, "background words", background=True)
    if english:
        check_english(classes)
    if not without_words:
        _refuse_without_words(classes)
    foreground = [item for item in classes if not item.background]
    behind = [item for item in classes if item.background]
    for item in classes:
        _warn_of_files(item)
    # Against one another first, so that the line at fault can be named.
    _check([*foreground, *behind])
    if len(foreground) == 1 and not behind:
        behind = bundled_background(foreground[0].words or (foreground[0].name,))
        warn(
            f"{foreground[0].name!r} is the only class, so it competes with "
            f"{', '.join(item.name for item in behind)}; what they win is written as 0. "
            "Choose others with --background"
        )
    colours = choose_colours([(item.words or (item.name,), item.colour) for item in foreground])
    numbered = [
        _class(item, colour, value)
        for value, (item, colour) in enumerate(zip(foreground, colours, strict=True), 1)
    ]
    unseen = [_class(item, item.colour or UNCLASSIFIED_RGB, UNCLASSIFIED) for item in behind]
    return Legend((*numbered, *unseen), tuple(drafts.about.items()), drafts.calibration)


def load_set_or_file(name: str) -> Legend:
    """Read a bundled set by its bare name, or a class file; never words.

    Args:
        name: "loveda", "loveda:tuned", "set:loveda" or a path.

    Raises:
        LegendError: No such set or file, or the file is wrong.
    """
    plain = class_file(name) is None and not name.strip().lower().startswith(_SET_PREFIX)
    return load_legend(f"{_SET_PREFIX}{name.strip()}" if plain else name, without_words=True)


def class_file(spec: LegendSpec) -> Path | None:
    """Return the class file that a specification names, of a user's own; None for anything else."""
    if isinstance(spec, Path):
        return spec
    if not isinstance(spec, str):
        return None
    text = _untuned(spec)
    named = text.lower().endswith(FILE_SUFFIXES) and not text.lower().startswith(_SET_PREFIX)
    return expand(text) if named else None


def _drafts(spec: LegendSpec) -> Drafts:
    if isinstance(spec, Legend):
        return Drafts([_draft(item) for item in spec.classes], dict(spec.about), spec.calibration)
    if isinstance(spec, str) and _untuned(spec) != spec.strip():
        return _tuned(_drafts(_untuned(spec)), spec.strip())
    if (path := class_file(spec)) is not None:
        return read_class_file(path)
    if isinstance(spec, str):
        return _drafts_of_text(spec)
    if isinstance(spec, Mapping):
        if "classes" in spec:
            return drafts_of_content(spec, "classes")
        return drafts_of_content([_named(name, body) for name, body in spec.items()], "classes")
    if isinstance(spec, Sequence):
        return drafts_of_content(list(spec), "classes")
    raise LegendError(
        f"classes cannot be read from {type(spec).__name__}",
        remedy="Give words, a file, a list of words or a mapping from name to words.",
    )


def _untuned(text: str) -> str:
    """Return the text without blanks around it, and without ":tuned" after a set or a file."""
    text = text.strip()
    bare = text[: -len(_TUNED)].rstrip() if text.lower().endswith(_TUNED) else text
    names = bare.lower().startswith(_SET_PREFIX) or bare.lower().endswith(FILE_SUFFIXES)
    return bare if names else text


def _tuned(drafts: Drafts, where: str) -> Drafts:
    """Put the tuned words of every class that has some in the place of its own."""
    if not any(item.tuned for item in drafts.classes):
        name = _untuned(where)
        if name.lower().startswith(_SET_PREFIX):
            name = name[len(_SET_PREFIX) :].strip().lower()
            raise LegendError(
                f"the set `{name}` has no variant `tuned`",
                where=where,
                remedy=variants(name, tuned=False),
            )
        raise LegendError(
            "no class has tuned words: there are plain ones only",
            where=where,
            remedy=f"Leave out {_TUNED}; in a file of your own, write `tuned:`.",
        )
    classes = [replace(item, words=item.tuned or item.words) for item in drafts.classes]
    return replace(drafts, classes=classes)


def _drafts_of_text(text: str) -> Drafts:
    text = text.strip()
    if text.lower().startswith(_SET_PREFIX):
        return read_class_file(set_file(text[len(_SET_PREFIX) :].strip()))
    if Path(text).suffix and _is_file(text):
        raise LegendError(
            "not a class file", where=text, remedy=f"Class files end in {', '.join(FILE_SUFFIXES)}."
        )
    if text.lower() in bundled_sets():
        warn(f"{text!r} is taken as a word; the bundled set is {_SET_PREFIX}{text.lower()}")
    return Drafts(drafts_of_words(text, "classes"))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _named(name: object, body: object) -> object:
    """Give an entry of {name: words} the form of a class mapping."""
    if isinstance(body, Mapping):
        return {"name": name, **body}
    return {"name": name, "words": body}


def _draft(item: LegendClass) -> Draft:
    return Draft(
        where=f"class {item.name!r}", **{name: getattr(item, name) for name in (*_SHARED, "colour")}
    )


def _class(draft: Draft, colour: RGB, value: int) -> LegendClass:
    return LegendClass(
        colour=colour, value=value, **{name: getattr(draft, name) for name in _SHARED}
    )


def _check(drafts: Sequence[Draft]) -> None:
    """Refuse classes that clash with one another."""
    names: dict[str, Draft] = {}
    owners: dict[str, Draft] = {}
    for draft in drafts:
        twin = names.setdefault(draft.name.casefold(), draft)
        if twin is not draft:
            raise LegendError(
                f"the class {draft.name!r} is there twice (see {twin.where})",
                where=draft.where,
                remedy="Rename one, or make them one class with synonyms.",
            )
        if draft.name.casefold() == UNCLASSIFIED_NAME and not draft.background:
            raise LegendError(
                f"the name {draft.name!r} is taken by the value 0",
                where=draft.where,
                remedy="Choose another name, or make it a background class.",
            )
        if not all(draft.words):
            raise LegendError("a word of the class is empty", where=draft.where)
        own = {word.casefold() for word in (*draft.words, *draft.descriptions)}
        both = [word for word in draft.negatives if word.casefold() in own]
        if both:
            raise LegendError(
                f"the word {both[0]!r} speaks for the class and against it",
                where=draft.where,
                remedy="Take it out of one list.",
            )
        for word in draft.words or (draft.name,):
            owner = owners.setdefault(word.casefold(), draft)
            if owner is not draft:
                raise LegendError(
                    f"the word {word!r} is in two classes, {owner.name!r} and {draft.name!r}",
                    where=draft.where,
                    remedy="A word can lead to one class only: take it out of one of them.",
                )
    codes: dict[int, Draft] = {}
    for draft in drafts:
        if draft.code is not None and codes.setdefault(draft.code, draft) is not draft:
            other = codes[draft.code].name
            raise LegendError(f"the code {draft.code} is that of {other!r} too", where=draft.where)
    count = sum(not draft.background for draft in drafts)
    if not count:
        raise LegendError(
            "only background classes" if drafts else "no classes",
            remedy="At least one class must be written with a value of its own.",
        )
    if not any(draft.words for draft in drafts):
        raise LegendError(
            "no class has words", remedy="Name one class at least with words that say what it is."
        )
    if count > _MAX_CLASSES:
        raise LegendError(
            f"{count} classes", remedy=f"A mask of uint16 holds {_MAX_CLASSES}: merge some."
        )


def _refuse_without_words(drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        if not draft.words:
            raise LegendError(
                f"the class {draft.name!r} has no words: only labels can teach it",
                where=draft.where,
                remedy="Fit an adapter to labels (rsclip adapt) and use it with --adapter, or give "
                "the class words.",
            )


def _warn_of_files(draft: Draft) -> None:
    """Say where a word looks like a file or a set that was meant to be read."""
    for word in draft.words:
        if _LIKE_A_FILE.search(word):
            warn(f"the class word {word!r} looks like a file or a set: it is taken as a word")
