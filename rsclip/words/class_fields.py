"""Values of a class file's keys, each read and checked by itself."""

import unicodedata
from collections.abc import Sequence
from typing import NoReturn

from rsclip.errors import LegendError
from rsclip.words.colours import RGB, parse_colour
from rsclip.words.evidence_rules import parse_rules

__all__ = [
    "clean",
    "read_code",
    "read_colour",
    "read_evidence",
    "read_number",
    "read_texts",
    "refuse",
    "unique",
    "without_semicolons",
]

_MAX_CODE = 65535


def read_texts(value: object, key: str, where: str) -> list[str]:
    """Read a list of texts, or one text with | between them."""
    if value is None:
        return []
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        refuse(value, key, where, 'Give a list, or text with "|" between the parts.')
    for part in parts:
        if not isinstance(part, str):
            refuse(part, key, where, "Put it in quotes: a bare yes, no or number is not text.")
    return [clean(part, where) for part in parts]


def read_evidence(value: object, where: str) -> tuple[str, ...]:
    """Read rules on other bands."""
    # A "|" stands between alternatives of one rule.
    texts = unique(read_texts([value] if isinstance(value, str) else value, "evidence", where))
    for text in texts:
        parse_rules(text, where)
    return texts


def without_semicolons(texts: list[str], where: str) -> list[str]:
    """Refuse words with a semicolon: several classes or synonyms would become one."""
    for text in texts:
        if ";" in text:
            raise LegendError(
                f"{text!r} holds a semicolon, which does not separate classes",
                where=where,
                remedy='Write a comma between classes and "|" between synonyms.',
            )
    return texts


def clean(text: str, where: str) -> str:
    """Return text with single spaces and composed accents, fit for XML and for a terminal."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    # The noncharacters of XML, lone surrogates and control codes.
    if any(unicodedata.category(char) in ("Cc", "Cs") or char in "\ufffe\uffff" for char in text):
        raise LegendError(f"a character in {text!r} is not text", where=where)
    return text


def unique(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts without empty ones and repeats."""
    found: dict[str, str] = {}
    for text in filter(None, texts):
        found.setdefault(text.casefold(), text)
    return tuple(found.values())


def read_colour(value: object, where: str) -> RGB:
    """Read a colour, whatever its form."""
    try:
        return parse_colour(value)
    except ValueError as error:
        remedy = 'Write "#rrggbb" (in quotes), [red, green, blue] from 0 to 255, or a name as red.'
        raise LegendError(str(error), where=where, remedy=remedy) from error


def read_code(value: object, where: str) -> int:
    """Read a data set's own value of a class."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_CODE:
        refuse(value, "code", where, f"It is a whole number from 0 to {_MAX_CODE}.")
    return value


def refuse(value: object, key: str, where: str, remedy: str) -> NoReturn:
    """Raise LegendError of a value."""
    raise LegendError(f"`{key}` cannot be {value!r}", where=where, remedy=remedy)


def read_number(value: object, key: str, where: str, low: float, high: float) -> float:
    """Read a number between two others.

    Raises:
        LegendError: It is none.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        refuse(value, key, where, f"It is a number between {low:g} and {high:g}.")
    return float(value)  # type: ignore[arg-type]
