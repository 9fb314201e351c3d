"""Words that a CLIP cannot read, with the reason; no model is needed to know them.

CLIP's text tower reads a phrase much as a bag of words: what is denied, counted, placed or coloured
is lost, and the nouns remain.
"""

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

from rsclip.words.legend import Legend

__all__ = ["Flag", "check_legend", "check_text"]

_COLOURS = (
    "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ea]y|beige|turquoise|cyan"
    "|magenta|gold|golden|silver|tan|teal|maroon|crimson|scarlet|ochre|mauve"
)
_NUMBERS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    "|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    "|ninety|hundreds?|thousands?|millions?|dozens?"
)
_AMOUNTS = (
    "several|many|multiple|numerous|countless|few|some|both|plenty of"
    "|(?:a )?(?:pair|couple|lots|(?<=a )lot|tens) of"
)
# A number after one of these is a name, not a count: runway 27, zone 3 housing.
_NUMBERED = (
    "runway", "highway", "route", "terminal", "gate", "zone", "class", "sentinel", "landsat",
    "grade", "level", "stage", "type", "category",
)  # fmt: skip
# One of its kind, not a count of one.
_ONE_OF_A_KIND = "family|storey|story|track|lane|carriageway|crop|way|detached"
# A number of these is a size, not a count.
_UNITS = "kv|mw|kw|ft|foot|feet|inch|mm|cm|m|km|ha|year"
_SIDES = "left|right|north|south|east|west"
_PLACES = (
    rf"(?:{_SIDES}|front|top|inside|outside) of|to the (?:{_SIDES})"
    "|(?<!from )above|below|under(?! construction)|underneath|behind|beneath|beside|besides|between"
    "|near(?![ -](?:infra-?red|shore))|next to|close to|adjacent to|opposite|across from"
    "|surrounded by|amid|amidst|among|amongst|atop|upon|beyond|alongside|overlooking|containing"
    "|(?:larger|smaller|bigger|taller|wider|longer|shorter) than"
)
# "In leaf", "in rows", "in black" is a look or a state, not a place; so is "at night".
_STATES = (
    "bloom|flower|leaf|traffic|use|rows?|full|early|late|spring|summer|autumn|winter|shadow"
    rf"|(?:{_COLOURS})$"
)
_TIMES = "night|day|dawn|dusk|noon|sunrise|sunset"
# At these a thing has a look of its own.
_STAYS = "anchor|rest|sea|low tide|high tide|work|berth|dock|gate"
# In a sentence these give the look of the place; in a class's word they are meant to choose.
_LOOSE_PLACES = (
    r"across|along|around|(?:inside|within|with|crossing) (?:the|a|an)"
    rf"|(?<=\w )(?:on|over|in) (?!(?:{_STATES})\b)\w+"
    rf"|(?<=\w )at (?!(?:{_TIMES}|{_STAYS})\b)\w+"
    # "Damaged by fire" says what was done, "drive through" what a shop is.
    rf"|(?<=\w )(?<!ed )(?<!burnt )(?<!grown )(?<!side )by (?!(?:{_TIMES}|hand)\b)\w+"
    r"|(?<=\w )(?<!drive )through"
)
_DENIALS = (
    "no|not|cannot|without|never|neither|nor|except|excluding|lacking|lacks|minus|hardly|barely"
    "|scarcely|(?:free|absence|lack|devoid|void|bare|bereft|empty|instead) of"
    "|(?<!ground )(?<!net )(?<!-)zero(?= \\w)(?! (?:carbon|emissions?|energy|waste)\\b)"
    "|(?:rather|other) than|(?:anything|everything|all) but"
    "|un(?:built|developed|cultivated|vegetated|planted|forested|wooded|inhabited|occupied|roofed"
    "|populated|settled|irrigated|fenced)"
)
# Words of a kind of their own, whose ending or beginning denies nothing that could be seen.
_LESS = "wire|stain|seam|home|driver|cloud|seed|count|end|name|time|use|harm|care|bound|regard"
_FREE = "duty|tax|toll|hands"
# The last of them is a class of CORINE by this very name.
_NON = "residential|profit|stop|ferrous|irrigated arable"
_WITHOUT = (
    rf"\b(?:{_DENIALS})\b|n['’]t\b"
    rf"|\b(?!(?:{_FREE})-)\w{{3,}}-free\b"
    rf"|\b(?!(?:{_LESS})less\b)\w{{3,}}less\b"
    rf"|\bnon\b(?![ -]?(?:{_NON})\b)"
)
# Frequent words of maps in other languages, with what CLIP reads; without accents.
_FOREIGN = {
    "strasse": "street", "haus": "house", "gebaeude": "building", "wasser": "water",
    "wald": "forest", "wiese": "meadow", "acker": "cropland", "fluss": "river", "dach": "roof",
    "baum": "tree", "rue": "street", "eau": "water", "foret": "forest", "batiment": "building",
    "riviere": "river", "toit": "roof", "arbre": "tree", "champ": "field", "maison": "house",
    "agua": "water", "bosque": "forest", "edificio": "building", "carretera": "road",
    "rio": "river", "casa": "house", "arbol": "tree", "cultivo": "crop field", "acqua": "water",
    "strada": "road", "fiume": "river", "albero": "tree", "tetto": "roof", "rua": "street",
    "floresta": "forest", "telhado": "roof", "weg": "road", "gebouw": "building", "bos": "forest",
    "droga": "road", "budynek": "building", "woda": "water", "vatten": "water",
    "skog": "forest", "vei": "road", "hus": "house", "bina": "building", "yol": "road",
    "haeuser": "houses", "baeume": "trees", "feld": "field", "garten": "garden",
    "parkplatz": "parking lot", "stadt": "city", "boden": "soil", "bruecke": "bridge",
    "piscine": "swimming pool", "jardin": "garden", "voiture": "car", "vigne": "vineyard",
    "verger": "orchard", "pont": "bridge", "piscina": "swimming pool", "prado": "meadow",
    "lago": "lake", "campo": "field", "puente": "bridge", "suelo": "soil", "coche": "car",
    "bosco": "forest", "prato": "meadow", "ponte": "bridge", "vigneto": "vineyard",
    "estrada": "road", "arvore": "tree", "rzeka": "river", "jezioro": "lake", "huis": "house",
    "straat": "street", "akker": "cropland", "rivier": "river",
    "und": "and", "ohne": "without", "sans": "without",
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
    sentences: bool = True


# A number that is part of a word (two-storey, 4-lane) says what kind of thing it is.
_NAMED = "".join(f"(?<!{name} )" for name in _NUMBERED)
_COUNTS = (
    rf"(?<![\w-])(?:{_NUMBERS}|{_AMOUNTS}|(?:one|single)(?! (?:{_ONE_OF_A_KIND})\b)"
    # Digits count what follows, or what they are a group of; else they are a name's: runway 27.
    rf"|(?:{_NAMED}\d+(?= [^\W\d])|(?<= of )\d+)(?! (?:{_UNITS})\b)"
    r")(?![\w-])"
)
_RELATION = (
    "CLIP reads both things, not how they lie to one another. Make classes of the things, and find "
    "the relation in the map"
)
_BAGS_OF_WORDS = (
    "Yuksekgonul et al., When and Why Vision-Language Models Behave like Bags-of-Words, ICLR 2023"
)
# With their capitals these are names; any other number, as of Two Houses, is a count.
_PLACE_NAMES = re.compile(
    r"\b(?:Nine Elms|Five (?:Dock|Points|Ways)|Four (?:Corners|Seasons)|Hundred Acre Wood"
    r"|One (?:Canada Square|Tree Hill|World Trade Cent(?:er|re))"
    r"|Seven (?:Dials|Hills|Kings|Mile Beach|Oaks|Sisters)|Six Flags|Ten Thousand Islands"
    r"|Thousand (?:Islands|Oaks|Palms)|Three (?:Gorges|Mile Island|Rivers|Sisters)"
    r"|Twelve Apostles|Two (?:Harbors|Rivers))\b"
)
_RULES = (
    _Rule(
        "negation",
        re.compile(_WITHOUT),
        "CLIP does not read a negation: it looks for what is denied. Write what is there instead "
        "(bare soil), and make what is denied a class of its own, or --background",
        "Alhamoud et al., Vision-Language Models Do Not Understand Negation, CVPR 2025",
    ),
    _Rule(
        "count",
        re.compile(_COUNTS),
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
    # Nine Elms is a name, nine elms are a count.
    unnamed = _PLACE_NAMES.sub("", text).lower()
    flags: list[Flag] = []
    for rule in _RULES:
        # Two rules find relations; one word is told once.
        if any(flag.kind == rule.kind for flag in flags):
            continue
        read = unnamed if rule.kind == "count" else plain
        found = {match.group(0) for match in rule.pattern.finditer(read)}
        if len(found) >= rule.least and (rule.sentences or not sentence):
            flags.append(Flag(class_name, text, rule.kind, rule.reason, rule.paper))
    if advice := _foreign(text):
        flags.append(
            Flag(
                class_name,
                text,
                "language",
                f"CLIP reads English: {advice}; `name` may be in any language",
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


def _foreign(text: str) -> str:
    """Return what to write in place of words that are not English; "" where all seem to be."""
    advice = {}
    for word in re.findall(r"[^\W\d_]+", text.lower()):
        known = next((_FOREIGN[plain] for plain in _spellings(word) if plain in _FOREIGN), None)
        if known is not None or not word.isascii():
            advice[word] = f'"{known}"' if known else "its English name"
    return ", ".join(f'write {english} for "{word}"' for word, english in advice.items())


def _spellings(word: str) -> list[str]:
    """Return a word in plain letters: German vowels written out, and without any accents."""
    plain = word.replace("ß", "ss")
    written_out = plain.translate({ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue"})
    return [
        "".join(letter for letter in unicodedata.normalize("NFD", each) if letter.isascii())
        for each in (written_out, plain)
    ]
