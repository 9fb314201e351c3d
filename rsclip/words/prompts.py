"""From class words to the prompts that the text encoder reads; no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsclip.errors import OptionError
from rsclip.fields import nearest
from rsclip.files import config_path, expand, read_text
from rsclip.words.legend import Legend, LegendClass

__all__ = [
    "TEMPLATES",
    "Query",
    "class_queries",
    "load_templates",
    "owners_of",
    "template_file",
    "word_prompts",
]

TEMPLATES = ("imagenet80", "simple", "remote-sensing")
"""Bundled templates. imagenet80: CLIP's own, as the papers use; simple: its best seven;
remote-sensing: views from above."""

_SLOT = "{}"
_REMEDY = "Each line is one template with one {}, such as: a satellite image of {}."


@dataclass(frozen=True, slots=True)
class Query:
    """One direction in text space that patches are compared with.

    Attributes:
        text: The word or description; the name of a class without words.
        prompts: What is encoded; the query is the mean. None of a class without words.
        class_index: Position of its class in `legend.classes`.
        negative: It speaks against its class.
    """

    text: str
    prompts: tuple[str, ...]
    class_index: int
    negative: bool = False


def class_queries(legend: Legend, templates: Sequence[str]) -> tuple[Query, ...]:
    """Return the queries of all classes, in the order of `legend.classes`.

    Each word is a query, with every template filled. Each description is one too: its prompts are
    the description itself and "{name}, {description}". Negative words follow. A class without words
    is one query without prompts.

    Args:
        legend: Classes, background ones included: they compete.
        templates: Texts with one `{}` each.
    """
    return tuple(
        query
        for index, item in enumerate(legend.classes)
        for query in _queries_of(item, index, templates)
    )


def owners_of(queries: Sequence[Query]) -> list[int | None]:
    """Return the position of each query's class; None of a negative word, and without words."""
    return [
        query.class_index if query.prompts and not query.negative else None for query in queries
    ]


def word_prompts(word: str, templates: Sequence[str]) -> tuple[str, ...]:
    """Fill every template with a word."""
    return tuple(template.replace(_SLOT, word) for template in templates)


def load_templates(name_or_file: str | Path) -> tuple[str, ...]:
    """Return bundled templates by name, or the lines of a text file.

    Raises:
        OptionError: The name is unknown, the file is missing or holds no template, or a line does
            not hold exactly one `{}`.
    """
    text = str(name_or_file)
    path = template_file(name_or_file)
    if path is not None:
        return _read(path)
    if text in TEMPLATES:
        return _read(config_path("templates", f"{text}.txt"))
    choice = f"Choose {', '.join(TEMPLATES)}, or give a .txt file."
    raise OptionError(
        f"unknown templates {text!r}",
        where="--templates",
        remedy=f"{nearest(text, TEMPLATES)} {choice}".lstrip(),
    )


def template_file(name_or_file: str | Path) -> Path | None:
    """Return the file of a user's own that is meant; None for the name of bundled templates."""
    if name_or_file in TEMPLATES:
        return None
    path = expand(name_or_file)
    meant = isinstance(name_or_file, Path) or path.suffix.lower() == ".txt" or path.is_file()
    return path if meant else None


def _queries_of(item: LegendClass, index: int, templates: Sequence[str]) -> Iterator[Query]:
    if not item.words:
        yield Query(item.name, (), index)
    for word in item.words:
        yield Query(word, word_prompts(word, templates), index)
    # CLIP reads English: a name in another script is for display only.
    name = item.name if item.name.isascii() or not item.words else item.words[0]
    for description in item.descriptions:
        yield Query(description, (description, f"{name}, {description}"), index)
    for word in item.negatives:
        yield Query(word, word_prompts(word, templates), index, negative=True)


def _read(path: Path) -> tuple[str, ...]:
    text = read_text(path, "template file", OptionError)
    templates = []
    for number, line in enumerate(text.splitlines(), 1):
        template = line.strip()
        if not template:
            continue
        if template.count(_SLOT) != 1:
            what = "no {}" if _SLOT not in template else "more than one {}"
            raise OptionError(what, where=f"{path}, line {number}", remedy=_REMEDY)
        templates.append(template)
    if not templates:
        raise OptionError("no template in the file", where=path, remedy=_REMEDY)
    return tuple(templates)
