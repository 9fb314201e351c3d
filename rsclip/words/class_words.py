"""Class words as people type them on a line: "building|house, road|!shadow, water"."""

from collections.abc import Sequence
from dataclasses import dataclass

from rsclip.errors import LegendError
from rsclip.words.class_fields import clean, unique, without_semicolons
from rsclip.words.colours import RGB

__all__ = ["Draft", "draft_of_synonyms", "drafts_of_words", "name_without_words", "with_signs"]


@dataclass(frozen=True, slots=True)
class Draft:
    """One class as written, its parts checked one by one.

    Attributes:
        name: As shown, any language.
        words: English words, the first is the main one; none where only labels can teach the class.
        descriptions: English sentences used as whole prompts.
        colour: (r, g, b) or None.
        threshold: 0 to 1 or None.
        background: Competes, but is written as 0.
        where: The file and line, or the position.
        tuned: English words that suit CLIP better, in place of `words` where they are asked for.
        code: The data set's own value for the class, 0 to 65535, or None.
        evidence: Rules on other bands (`rsclip.words.evidence_rules`), as written.
        negatives: English words that speak against the class.
        bias: Added to the class's logit.
    """

    name: str
    words: tuple[str, ...]
    where: str
    descriptions: tuple[str, ...] = ()
    colour: RGB | None = None
    threshold: float | None = None
    background: bool = False
    tuned: tuple[str, ...] = ()
    code: int | None = None
    evidence: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    bias: float = 0.0


def drafts_of_words(text: str, where: str, *, background: bool = False) -> list[Draft]:
    """Read "building|house, road": comma between classes, | between synonyms.

    Raises:
        LegendError: Nothing is there, or a class is empty.
    """
    if not text.strip():
        raise LegendError(
            "no classes", where=where, remedy='Give words such as "building|house, road, water".'
        )
    return [
        draft_of_synonyms(part.split("|"), f"{where}, class {number}", background=background)
        for number, part in enumerate(text.split(","), 1)
    ]


def draft_of_synonyms(synonyms: Sequence[str], where: str, *, background: bool = False) -> Draft:
    """Return the class of some synonyms: "!word" speaks against it, "?name" has no words.

    Raises:
        LegendError: There is no word, or one beside "?name".
    """
    texts = [clean(word, where) for word in synonyms]
    if name := name_without_words(texts[0], where):
        if len(texts) > 1:
            raise LegendError(
                f"{texts[0]!r} is a class without words", where=where,
                remedy='Leave out what follows the "|", or the question mark.',
            )  # fmt: skip
        return Draft(name, (), where, background=background)
    words, negatives = with_signs(texts, where)
    if not words:
        raise LegendError(
            "the class is empty", where=where, remedy="Write a word, or remove the separator."
        )
    return Draft(words[0], words, where, background=background, negatives=negatives)


def name_without_words(text: str, where: str) -> str:
    """Return the name of a class that is written "?name": it has no words; else nothing.

    Raises:
        LegendError: There is no name.
    """
    if not text.startswith("?"):
        return ""
    name = without_semicolons([text.removeprefix("?").strip()], where)[0]
    if not name:
        raise LegendError("the class has no name", where=where, remedy='Write "?pond type B".')
    return name


def with_signs(texts: list[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return words, and the negative ones, which are written "!word".

    Raises:
        LegendError: A negative word is empty, or a word holds a semicolon.
    """
    without_semicolons(texts, where)
    negatives = [text.removeprefix("!").strip() for text in texts if text.startswith("!")]
    if not all(negatives):
        raise LegendError("a negative word is empty", where=where, remedy='Write "!shadow".')
    return unique([text for text in texts if not text.startswith("!")]), unique(negatives)
