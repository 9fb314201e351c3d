"""Words that a CLIP cannot read, with the reason; no model is needed to know them.

CLIP's text tower reads a phrase much as a bag of words: what is denied, counted, placed or coloured
is lost, and the nouns remain.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from rsclip.legend import Legend

__all__ = ["Flag", "check_legend", "check_text"]

_COLOURS = (
    r"\b(red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ea]y|beige|turquoise"
    r"|cyan|magenta)\b"
)
_NUMBERS = r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|several|dozens?|\d+)\b"
_PLACES = (
    r"(?:left|right|north|south|east|west|front|top|inside|outside) of|(?<!from )above|below"
    r"|under|underneath|behind|beneath|beside|besides|between|near|next to|close to"
    r"|adjacent to|opposite|across from|surrounded by"
    r"|(?:larger|smaller|bigger|taller|wider|longer|shorter) than"
)
# Frequent words of maps in other languages, with what CLIP reads; the umlaut-free spellings, as
# the others are refused before.
_FOREIGN = {
    "strasse": "street", "haus": "house", "gebaeude": "building", "wasser": "water",
    "wald": "forest", "wiese": "meadow", "acker": "cropland", "fluss": "river", "dach": "roof",
    "baum": "tree", "rue": "street", "eau": "water", "foret": "forest", "batiment": "building",
    "riviere": "river", "toit": "roof", "arbre": "tree", "champ": "field", "maison": "house",
    "agua": "water", "bosque": "forest", "edificio": "building", "carretera": "road",
    "rio": "river", "casa": "house", "arbol": "tree", "cultivo": "crop field", "acqua": "water",
    "strada": "road", "fiume": "river", "albero": "tree", "tetto": "roof", "rua": "street",
    "floresta": "forest", "telhado": "roof", "weg": "road", "gebouw": "building", "bos": "forest",
    "droga": "road", "budynek": "building", "woda": "water", "las": "forest", "vatten": "water",
    "skog": "forest", "vei": "road", "hus": "house", "bina": "building", "yol": "road",
    "und": "and", "der": "the", "les": "the", "los": "the", "ohne": "without", "sans": "without",
}  # fmt: skip
_CATCH_ALLS = (
    "background", "other", "others", "clutter", "background clutter", "miscellaneous", "unknown",
    "unlabeled", "unlabelled", "unclassified", "rest", "everything else", "void",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flag:
    """A word or description that will not do what it says.

    Attributes:
        class_name: The class it belongs to.
        text: The word or description.
        kind: "negation", "count", "relation", "colours", "language", "catch-all", "cut", "rare" or
            "far".
        reason: What goes wrong and what to write instead.
        paper: Where it was measured, or "".
    """

    class_name: str
    text: str
    kind: str
    reason: str
    paper: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    pattern: re.Pattern[str]
    reason: str
    paper: str
    least: int = 1


_RULES = (
    _Rule(
        "negation",
        re.compile(
            r"\b(no|not|without|never|neither|nor|except|excluding|lacking|non)\b"
            r"|\b(free|absence|lack) of\b"
        ),
        "CLIP does not read a negation: it looks for what is denied. Make what is denied a class "
        "of its own, or --background",
        "Alhamoud et al., Vision-Language Models Do Not Understand Negation, CVPR 2025",
    ),
    _Rule(
        "count",
        re.compile(_NUMBERS),
        "CLIP does not count. Leave the number out, and count the polygons",
        "Paiss et al., Teaching CLIP to Count to Ten, ICCV 2023",
    ),
    _Rule(
        "relation",
        re.compile(rf"\b({_PLACES})\b"),
        "CLIP reads both things, not how they lie to one another. Make classes of the things, and "
        "find the relation in the map",
        "Yuksekgonul et al., When and Why Vision-Language Models Behave like Bags-of-Words, ICLR "
        "2023",
    ),
    _Rule(
        "colours",
        re.compile(_COLOURS),
        "CLIP does not bind several colours to their things. Keep one, or write two words",
        "Lewis et al., Does CLIP Bind Concepts?, Findings of EACL 2024",
        least=2,
    ),
)


def check_legend(legend: Legend) -> list[Flag]:
    """Return what a CLIP cannot read in the words and descriptions of all classes, in order."""
    return [
        flag
        for item in legend.classes
        for text in (*item.words, *item.descriptions)
        for flag in check_text(text, item.name)
    ]


def check_text(text: str, class_name: str) -> list[Flag]:
    """Return what a CLIP cannot read in one word or description."""
    lowered = text.lower()
    flags = []
    for rule in _RULES:
        found = {match.group(0) for match in rule.pattern.finditer(lowered)}
        if len(found) >= rule.least:
            flags.append(Flag(class_name, text, rule.kind, rule.reason, rule.paper))
    if foreign := [word for word in re.findall(r"[a-z]+", lowered) if word in _FOREIGN]:
        better = ", ".join(f'"{_FOREIGN[word]}" for "{word}"' for word in dict.fromkeys(foreign))
        flags.append(
            Flag(
                class_name,
                text,
                "language",
                f"CLIP reads English: write {better}; `name` may be in any language",
                "Radford et al., Learning Transferable Visual Models, 2021: English text only",
            )
        )
    if lowered in _CATCH_ALLS:
        flags.append(
            Flag(
                class_name,
                text,
                "catch-all",
                "no picture looks like this word. Write what is really there (sky, bare soil, "
                "pavement ...)",
            )
        )
    return flags
