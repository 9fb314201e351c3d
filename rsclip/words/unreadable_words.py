"""Which class words can a CLIP not read, and why? No model is needed to know.

CLIP's text tower reads a phrase much as a bag of words: what is denied, counted, placed or coloured
is lost, and the nouns remain.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from rsclip.words.legend import Legend

__all__ = ["Flag", "check_legend", "check_text"]

_COLOURS = (
    "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ea]y|beige|turquoise|cyan"
    "|magenta|gold|golden|silver|tan|teal|maroon|crimson|scarlet|ochre|mauve"
)
_COUNTS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    "|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    "|ninety|hundreds?|thousands?|millions?|dozens?"
    "|several|many|multiple|numerous|countless|few|some|both|plenty of"
    "|(?:a )?(?:pair|couple|lots|(?<=a )lot|tens) of"
    # In "one way street" it is part of a name; so are the digits of "runway 27 threshold".
    r"|(?:one|single)(?= \w+$)|\d+(?= [a-z]{3,}s\b)|(?<= of )\d+$"
)
_SIDES = "left|right|north|south|east|west"
_PLACES = (
    rf"(?:{_SIDES}|front|top|inside|outside) of|to the (?:{_SIDES})"
    "|(?<!from )above|below|under(?! construction)|underneath|behind|beneath|beside|besides|between"
    "|near(?![ -](?:infra-?red|shore))|next to|close to|adjacent to|opposite|across from"
    "|surrounded by|amid|amidst|among|amongst|atop|upon|beyond|alongside|overlooking|containing"
    "|(?:larger|smaller|bigger|taller|wider|longer|shorter) than"
)
# In a sentence these give the look of the place; in a class's word they are meant to choose.
# Without an article, "in bloom" and "at night" are states.
_LOOSE_PLACES = (
    "across|along|around|(?:inside|within|with|crossing|in|at|by) (?:the|a|an)"
    r"|(?<=\w )(?:on|over) \w+|(?<=\w )(?<!drive )through"
)
_DENIALS = (
    r"\b(?:no|not|cannot|without|never|neither|nor|except|excluding|lacking|lacks|minus|hardly"
    "|barely|scarcely|(?:free|absence|lack|devoid|void|bare|bereft|empty|instead) of"
    "|(?:rather|other) than|(?:anything|everything|all) but"
    "|un(?:built|developed|cultivated|vegetated|planted|forested|wooded|inhabited|roofed)"
    "|(?:tree|roof|window|leaf)less|(?:tree|car|cloud|snow|ice)-free"
    # CORINE names a class so.
    r"|non(?![ -]?(?:residential|irrigated arable)\b))\b|n['’]t\b"
)
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
            "unlearned".
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
    sentences: bool = True


_RELATION = (
    "CLIP reads both things, not how they lie to one another. Make classes of the things, and find "
    "the relation in the map"
)
_BAGS_OF_WORDS = (
    "Yuksekgonul et al., When and Why Vision-Language Models Behave like Bags-of-Words, ICLR 2023"
)
_RULES = (
    _Rule(
        "negation",
        re.compile(_DENIALS),
        "CLIP does not read a negation: it looks for what is denied. Write what is there instead "
        "(bare soil), and make what is denied a class of its own, or --background",
        "Alhamoud et al., Vision-Language Models Do Not Understand Negation, CVPR 2025",
    ),
    _Rule(
        "count",
        # A number inside a word (two-storey, 4-lane) says what kind of thing it is.
        re.compile(rf"(?<![\w-])(?:{_COUNTS})(?![\w-])"),
        "CLIP does not count. Leave the number out, and count the polygons",
        "Paiss et al., Teaching CLIP to Count to Ten, ICCV 2023",
    ),
    _Rule(
        "relation",
        re.compile(rf"(?<![\w-])(?:{_PLACES})(?![\w-])"),
        _RELATION,
        _BAGS_OF_WORDS,
    ),
    _Rule(
        "relation",
        re.compile(rf"\b(?:{_LOOSE_PLACES})\b"),
        _RELATION,
        _BAGS_OF_WORDS,
        sentences=False,
    ),
    _Rule(
        "colours",
        # Of grey-green the first alone: one look. Blue-roofed is blue.
        re.compile(rf"(?<![\w-])(?:{_COLOURS})(?!\w)"),
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
        for flag in check_text(text, item.name, sentence=text in item.descriptions)
    ]


def check_text(text: str, class_name: str, *, sentence: bool = False) -> list[Flag]:
    """Return what a CLIP cannot read in one word; or description, which is a sentence."""
    lowered = text.lower()
    # One look, not two colours.
    plain = re.sub(r"\bblack[ -](?:and|&)[ -]white\b", "grey", lowered)
    flags: list[Flag] = []
    for rule in _RULES:
        # Two rules find relations; one word is told once.
        if any(flag.kind == rule.kind for flag in flags):
            continue
        found = {match.group(0) for match in rule.pattern.finditer(plain)}
        if len(found) >= rule.least and (rule.sentences or not sentence):
            flags.append(Flag(class_name, text, rule.kind, rule.reason, rule.paper))
    foreign = [word for word in re.findall(r"[^\W\d_]+", lowered) if not word.isascii()]
    if foreign:
        words = ", ".join(f'"{word}"' for word in foreign)
        flags.append(
            Flag(
                class_name,
                text,
                "language",
                f"CLIP reads English: write the English name for {words}. In a class file, `name` "
                "may be in any language",
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
