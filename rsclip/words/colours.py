"""Colours of classes: read, looked up by word, or chosen so that none repeats."""

import colorsys
import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import yaml

from rsclip.files import config_path

__all__ = ["NODATA_RGBA", "RGB", "UNCLASSIFIED_RGB", "choose_colours", "parse_colour"]

RGB = tuple[int, int, int]

UNCLASSIFIED_RGB: RGB = (128, 128, 128)
NODATA_RGBA = (0, 0, 0, 0)

# Redmean distance (0 to about 765) below which two colours of a legend look alike.
_ALIKE = 60.0
# Beyond this many colours no eye tells them apart: only equality is avoided.
_TELLABLE = 64
# Steps of lightness (0 to 1) from a familiar colour, and where they end.
_SHADES = (-0.12, 0.12, -0.18, 0.18, -0.24, 0.24)
_DARKEST, _LIGHTEST = 0.15, 0.88
_GOLDEN = 0.618033988749895


def parse_colour(value: object) -> RGB:
    """Read "#rrggbb", three numbers 0 to 255 (a list, or text) or a CSS name.

    Raises:
        ValueError: It is none of these; the message says what is wrong.
    """
    if isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"#[0-9a-f]{6}", text):
            return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
        if text in _names():
            return _names()[text]
        parts: Sequence[object] = re.split(r"[\s,;|]+", text.strip("[]() "))
        if len(parts) == 3 and all(re.fullmatch(r"\d{1,3}", str(part)) for part in parts):
            value = [int(str(part)) for part in parts]
    if isinstance(value, list | tuple) and len(value) == 3:
        red, green, blue = value
        if all(type(part) is int and 0 <= part <= 255 for part in value):
            return red, green, blue
    raise ValueError(f"{value!r} is no colour")


def choose_colours(classes: Sequence[tuple[Sequence[str], RGB | None]]) -> list[RGB]:
    """Give every class a colour; colours that are given stay.

    A class without one gets the colour of a land-cover word among its words if that is still free,
    or a shade of it (meadow beside grass stays green), else the next colour of a colour-blind-safe
    palette that resembles none in use, else one made up. Made-up colours never repeat and
    are never black, white or grey.

    Args:
        classes: (words, colour or None) of each class, in order.
    """
    chosen: list[RGB | None] = [colour for _, colour in classes]
    used = [colour for colour in chosen if colour is not None]
    for index, (words, _) in enumerate(classes):
        if chosen[index] is None and len(used) < _TELLABLE:
            familiar = list(_familiar(words))
            shades = (shade for item in familiar for shade in _shades(item))
            wanted = itertools.chain(familiar, shades)
            colour = next((item for item in wanted if _is_free(item, used)), None)
            if colour is not None:
                chosen[index] = colour
                used.append(colour)
    fresh = _fresh(used)
    return [next(fresh) if colour is None else colour for colour in chosen]


def _familiar(words: Sequence[str]) -> Iterator[RGB]:
    known = _familiar_words()
    lowered = [" ".join(word.lower().split()) for word in words]
    # A whole word first ("solar panel"), then its last noun ("residential building").
    for text in (*lowered, *(word.split()[-1] for word in lowered if " " in word)):
        for form in (text, text.removesuffix("s")):
            if form in known:
                yield known[form]


def _shades(colour: RGB) -> Iterator[RGB]:
    """Yield darker and lighter colours of the same hue, the nearest first."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    for step in _SHADES:
        if _DARKEST <= light + step <= _LIGHTEST:
            red, green, blue = colorsys.hls_to_rgb(hue, light + step, saturation)
            yield round(red * 255), round(green * 255), round(blue * 255)


def _is_free(colour: RGB, used: Sequence[RGB]) -> bool:
    return all(_distance(colour, other) >= _ALIKE for other in used)


def _fresh(used: Sequence[RGB]) -> Iterator[RGB]:
    """Yield colours that are not in use and never the same twice."""
    seen = list(used)
    taken = {*seen}
    candidates = [*_palette(), *_made_up(200)]
    while len(seen) < _TELLABLE:
        free = (item for item in _palette() if _is_free(item, seen))
        colour = next(free, None)
        if colour is None:
            # None is clearly different: the most different one, the first of equals.
            colour = max(candidates, key=lambda item: min(_distance(item, old) for old in seen))
        if colour in taken:
            break
        seen.append(colour)
        taken.add(colour)
        yield colour
    for colour in _made_up(None):
        if colour not in taken:
            taken.add(colour)
            yield colour


def _made_up(count: int | None) -> Iterator[RGB]:
    """Yield saturated colours: hues by the golden ratio, lightness and saturation in turn."""
    index = 0
    while count is None or index < count:
        hue = index * _GOLDEN % 1
        # Irrational steps of their own, so that colours seldom meet over tens of thousands.
        light = 0.3 + 0.4 * (index * 0.7548776662466927 % 1)
        saturation = 0.5 + 0.5 * (index * 0.5698402909980532 % 1)
        red, green, blue = colorsys.hls_to_rgb(hue, light, saturation)
        yield round(red * 255), round(green * 255), round(blue * 255)
        index += 1


def _distance(one: RGB, other: RGB) -> float:
    """Return the redmean distance, a cheap stand-in for perceived difference."""
    mean = (one[0] + other[0]) / 2
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    weighted = (2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2
    return float(weighted**0.5)


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(config_path("colours.yaml").read_text("utf-8"))
    return table


def _hex(text: str) -> RGB:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


@cache
def _palette() -> tuple[RGB, ...]:
    return tuple(_hex(text) for text in _table()["palette"])


@cache
def _familiar_words() -> dict[str, RGB]:
    return {word: _hex(text) for word, text in _table()["words"].items()}


@cache
def _names() -> dict[str, RGB]:
    return {name: _hex(text) for name, text in _table()["names"].items()}
