"""Class files as people write them: lines of words, YAML, JSON or CSV.

Everything here becomes a list of `Draft`, one a class, with the place it came from, so that
whatever is wrong can be named. What classes mean to one another is checked in `legend`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsclip.errors import LegendError
from rsclip.fields import nearest
from rsclip.files import parse_yaml, read_rows, read_text
from rsclip.words.calibration import CALIBRATION_KEYS, Calibration
from rsclip.words.class_fields import (
    clean,
    read_code,
    read_colour,
    read_evidence,
    read_number,
    read_texts,
    refuse,
    unique,
    without_semicolons,
)
from rsclip.words.class_words import Draft, draft_of_synonyms, name_without_words, with_signs

__all__ = [
    "FILE_SUFFIXES",
    "Drafts",
    "check_english",
    "draft_of",
    "drafts_of_content",
    "read_class_file",
]

_CLASS_KEYS = (
    "name",
    "words",
    "tuned",
    "descriptions",
    "colour",
    "threshold",
    "background",
    "code",
    "evidence",
    "not",
    "bias",
)
_ABOUT_KEYS = ("name", "description", "source", "licence")
_SET_KEYS = ("classes", *_ABOUT_KEYS, *CALIBRATION_KEYS)
_ALIASES = {"color": "colour", "license": "licence"}
_MAX_BIAS = 1000.0
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0", ""})
_COMMA_REMEDY = 'Write synonyms with "|", or give the class as `name:` and `words:`.'


@dataclass(frozen=True, slots=True)
class Drafts:
    """The classes of one specification and what it says of itself (name, source, ...)."""

    classes: list[Draft]
    about: dict[str, str] = field(default_factory=dict)
    calibration: Calibration = Calibration()


def check_english(drafts: Sequence[Draft]) -> None:
    """Refuse words and descriptions that are not written in plain English letters.

    Raises:
        LegendError: There is one.
    """
    for draft in drafts:
        texts = {**dict.fromkeys((*draft.words, *draft.tuned, *draft.negatives), "word"),
                 **dict.fromkeys(draft.descriptions, "description")}  # fmt: skip
        for text, kind in texts.items():
            if not text.isascii():
                raise LegendError(
                    f"the {kind} {text!r} is not plain English",
                    where=draft.where,
                    remedy="CLIP reads English: write the English word. In a class file, `name` "
                    "may be in any language.",
                )


def draft_of(entry: object, where: str) -> Draft:
    """Read one class of a list: a string of synonyms, or a mapping of the class keys.

    Raises:
        LegendError: An unknown key, or a value that does not fit.
    """
    if isinstance(entry, str):
        if "," in entry:
            raise LegendError(f"{entry!r} holds a comma", where=where, remedy=_COMMA_REMEDY)
        return draft_of_synonyms(entry.split("|"), where)
    if isinstance(entry, Mapping):
        return _of_mapping(entry, where)
    if entry is None:
        raise LegendError("the class is empty", where=where, remedy="Write a word, or remove it.")
    raise LegendError(
        f"{entry!r} is not a class",
        where=where,
        remedy="Put words in quotes: a bare yes, no or number is not text."
        if isinstance(entry, bool | int | float)
        else "A class is a word, or a mapping with `name` and `words`.",
    )


def drafts_of_content(content: object, where: str) -> Drafts:
    """Read a list of classes, or a mapping with `classes` and what the set says of itself.

    Raises:
        LegendError: A key is unknown, or a value does not fit.
    """
    about: dict[str, str] = {}
    calibration = Calibration()
    if isinstance(content, Mapping):
        content = _known_keys(content, _SET_KEYS, where)
        about = {
            key: " ".join(str(content[key]).split())
            for key in _ABOUT_KEYS
            if content.get(key) is not None
        }
        calibration = Calibration.read(content, where)
        content = content.get("classes")
    if content is None:
        content = []
    if not isinstance(content, list | tuple):
        raise LegendError(
            "no list of classes",
            where=where,
            remedy="Write a list of classes, or a mapping with a list under `classes`.",
        )
    return Drafts(
        [draft_of(entry, f"{where}, class {index}") for index, entry in enumerate(content, 1)],
        about,
        calibration,
    )


def read_class_file(path: Path) -> Drafts:
    """Read a .txt, .yaml, .yml, .json or .csv class file.

    Raises:
        LegendError: The file is missing, of another kind, damaged, or says something wrong.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise LegendError(
            "not a class file", where=path, remedy=f"Class files end in {', '.join(_READERS)}."
        )
    text = read_text(path, "class file", LegendError)
    drafts = reader(text, path)
    if not drafts.classes:
        raise LegendError("no classes in the file", where=path, remedy="Write one class a line.")
    return drafts


def _read_txt(text: str, path: Path) -> Drafts:
    drafts = []
    for number, line in enumerate(text.splitlines(), 1):
        # A hash inside a word stays; one that starts a word starts a comment.
        content = " ".join(line.split()).partition(" #")[0].strip()
        if content and not content.startswith("#"):
            where = f"{path}, line {number}"
            drafts.append(draft_of_synonyms(content.replace("|", ",").split(","), where))
    return Drafts(drafts)


def _read_yaml(text: str, path: Path) -> Drafts:
    return drafts_of_content(parse_yaml(text, path, LegendError), str(path))


def _read_json(text: str, path: Path) -> Drafts:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise LegendError(f"the key `{twice}` stands twice in one object", where=path)
        return mapping

    try:
        content = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        reason = f"not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        raise LegendError(reason, where=path) from error
    except (RecursionError, ValueError) as error:
        raise LegendError(f"not valid JSON: {error}", where=path) from error
    return drafts_of_content(content, str(path))


def _read_csv(text: str, path: Path) -> Drafts:
    drafts: list[Draft] = []
    columns: list[str] | None = None
    for number, cells in read_rows(text, path, LegendError):
        where = f"{path}, line {number}"
        if columns is None:
            columns = _columns(cells, where)
        elif len(cells) > len(columns) and any(cells[len(columns) :]):
            raise LegendError(
                f"{len(cells)} cells under {len(columns)} columns",
                where=where,
                remedy='Put a cell that holds the separator in "quotes".',
            )
        else:
            drafts.append(_of_row(dict(zip(columns, cells, strict=False)), where))
    return Drafts(drafts)


_READERS: Mapping[str, Callable[[str, Path], Drafts]] = {
    ".txt": _read_txt,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".csv": _read_csv,
}
FILE_SUFFIXES: tuple[str, ...] = tuple(_READERS)


def _of_mapping(entry: Mapping[Any, Any], where: str) -> Draft:
    entry = _known_keys(entry, _CLASS_KEYS, where)
    none = entry.get("words") in ([], ())
    words, negatives = with_signs(read_texts(entry.get("words"), "words", where), where)
    negatives += tuple(without_semicolons(read_texts(entry.get("not"), "not", where), where))
    name = entry.get("name")
    if name is not None:
        if not isinstance(name, str):
            refuse(name, "name", where, "Give text, in quotes if it is a number, yes or no.")
        name = clean(name, where)
        bare = name_without_words(name, where)
        name, none = bare or name, none or bool(bare)
        where = f"{where} ({name})" if name else where
    if not name and not words:
        raise LegendError("the class is empty", where=where, remedy="Give it a `name` or `words`.")
    if none:
        _refuse_words(entry, where)
    elif not words:
        words = unique([name or ""])
    descriptions = read_texts(entry.get("descriptions"), "descriptions", where)
    colour, threshold = entry.get("colour"), entry.get("threshold")
    if colour is None and "colour" in entry:
        remedy = 'Put "#rrggbb" in quotes: a bare # starts a comment.'
        raise LegendError("`colour` is empty", where=where, remedy=remedy)
    background = entry.get("background")
    if background is not None and not isinstance(background, bool):
        refuse(background, "background", where, "It is true or false.")
    return Draft(
        name or words[0],
        words,
        where,
        unique(descriptions),
        None if colour is None else read_colour(colour, where),
        None if threshold is None else read_number(threshold, "threshold", where, 0, 1),
        bool(background),
        unique(without_semicolons(read_texts(entry.get("tuned"), "tuned", where), where)),
        None if entry.get("code") is None else read_code(entry["code"], where),
        read_evidence(entry.get("evidence"), where),
        unique(negatives),
        read_number(entry.get("bias") or 0.0, "bias", where, -_MAX_BIAS, _MAX_BIAS),
    )


def _refuse_words(entry: Mapping[str, Any], where: str) -> None:
    """Refuse words of a class that says that it has none."""
    if given := [key for key in ("words", "tuned", "descriptions", "not") if entry.get(key)]:
        raise LegendError(
            f"the class has no words, and yet `{given[0]}`", where=where,
            remedy='Leave one out: "?" before the name, or `words: []`, says that only labels can '
            "teach it.",
        )  # fmt: skip


def _of_row(row: Mapping[str, str], where: str) -> Draft:
    """Turn a CSV row into the mapping that YAML would have given."""
    entry: dict[str, Any] = {key: value for key, value in row.items() if value}
    for key in {"threshold", "bias"} & entry.keys():
        try:
            entry[key] = float(entry[key])
        except ValueError:
            refuse(entry[key], key, where, "It is a number.")
    if "code" in entry and entry["code"].isdecimal():
        entry["code"] = int(entry["code"])
    flag = row.get("background", "").lower()
    if flag not in _TRUE | _FALSE:
        refuse(row["background"], "background", where, "It is true or false.")
    entry["background"] = flag in _TRUE
    return _of_mapping(entry, where)


def _columns(cells: Sequence[str], where: str) -> list[str]:
    # Spreadsheets leave empty columns at the end.
    while cells and not cells[-1]:
        cells = cells[:-1]
    lowered = [cell.lower() for cell in cells]
    columns = list(_known_keys(dict.fromkeys(lowered), _CLASS_KEYS, where, "column"))
    if len(columns) < len(cells):
        raise LegendError("a column stands twice", where=where, remedy="Keep one of them.")
    if not {"name", "words"} & set(columns):
        raise LegendError(
            "neither a `name` nor a `words` column",
            where=where,
            remedy=f"The first line names the columns, out of {', '.join(_CLASS_KEYS)}.",
        )
    return columns


def _known_keys(
    mapping: Mapping[Any, Any], known: Sequence[str], where: str, kind: str = "key"
) -> dict[str, Any]:
    """Refuse keys that are not known; spell the others as we do."""
    result = {}
    for key, value in mapping.items():
        spelt = _ALIASES.get(key, key) if isinstance(key, str) else key
        if spelt not in known:
            raise LegendError(
                f"unknown {kind} `{key}`",
                where=where,
                remedy=nearest(str(key), known) or f"Known: {', '.join(known)}.",
            )
        if spelt in result:
            raise LegendError(f"`{key}` is given twice", where=where, remedy="Keep one of them.")
        result[spelt] = value
    return result
