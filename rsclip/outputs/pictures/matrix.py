"""A matrix of classes as a picture: cosines between them, or shares taken for one another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from rsclip.outputs.pictures.lettering import font_for, legible

__all__ = ["render_matrix"]

_INK = (34, 34, 34)
_PAPER = (255, 255, 255)
_LOW, _HIGH = (246, 248, 250), (23, 78, 130)
_CLOSE = (200, 60, 30)
_MARGIN = 24
_TITLE = 26
_LETTERS = 17
# Beyond these many classes, numbers do not fit the cells.
_NUMBERED = 24
_CELL, _SMALL_CELL = 48, 18
# A class without a name is called by its word, which may be a paragraph.
_LONGEST = 40


def render_matrix(
    cosines: npt.NDArray[Any],
    names: Sequence[str],
    plain: Sequence[str],
    title: str,
    low: float,
    limit: float,
    note: str | None = None,
) -> Image.Image:
    """Draw a matrix of cosines; pairs above the limit are framed.

    Args:
        cosines: float (K, K).
        names: K names of classes, in any script.
        plain: What stands for a name that no font can write.
        title: Above it.
        low: The cosine drawn palest; 1 is darkest.
        limit: Cosine above which two classes are too close.
        note: Stands below the title in place of what frames mean.
    """
    count = len(names)
    cell = _CELL if count <= _NUMBERED else _SMALL_CELL
    size = _LETTERS if count <= _NUMBERED else 13
    shown = [_short(legible(name, instead)) for name, instead in zip(names, plain, strict=True)]
    fonts = [font_for(name, size) for name in shown]
    label = int(max(font.getlength(name) for font, name in zip(fonts, shown, strict=True))) + 12
    heading = font_for(title, _TITLE)
    ink = _CLOSE if note is None else _INK
    note = note or f"framed: above {limit:.2f}, too close to tell apart"
    width = 2 * _MARGIN + max(
        label + count * cell,
        int(heading.getlength(title)),
        int(font_for(note, _LETTERS).getlength(note)),
    )
    top = _MARGIN + _TITLE + _LETTERS + 30 + label
    picture = Image.new("RGB", (width, top + count * cell + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, _INK, heading)
    draw.text((_MARGIN, _MARGIN + _TITLE + 12), note, ink, font_for(note, _LETTERS))
    left = _MARGIN + label
    for index, (name, font) in enumerate(zip(shown, fonts, strict=True)):
        middle = top + index * cell + cell // 2
        draw.text((left - 8, middle), name, _INK, font, anchor="rm")
        _upright(picture, name, font, left + index * cell + cell // 2, top - 8, label)
    # The frames come last: a neighbour's cell must not cover them.
    framed = []
    for row in range(count):
        for col in range(count):
            value = float(cosines[row, col])
            box = (left + col * cell, top + row * cell)
            corner = (box[0] + cell - 1, box[1] + cell - 1)
            share = float(np.clip((value - low) / max(1 - low, 1e-6), 0, 1))
            draw.rectangle((*box, *corner), _shade(share))
            if row != col and value > limit:
                framed.append((*box, *corner))
            if cell == _CELL:
                ink = _PAPER if share > 0.5 else _INK
                text = f"{round(value, 2) + 0.0:.2f}"
                centre = (box[0] + cell // 2, box[1] + cell // 2)
                draw.text(centre, text, ink, font_for(text, 15), anchor="mm")
    for frame in framed:
        draw.rectangle(frame, outline=_CLOSE, width=3 if cell == _CELL else 2)
    return picture


def _upright(picture: Image.Image, text: str, font: Any, x: int, bottom: int, length: int) -> None:
    """Write a text upwards, centred on x, ending above `bottom`."""
    height = int(getattr(font, "size", _LETTERS)) + 8
    strip = Image.new("RGB", (length, height), _PAPER)
    ImageDraw.Draw(strip).text((0, height // 2), text, _INK, font, anchor="lm")
    picture.paste(strip.rotate(90, expand=True), (x - height // 2, bottom - length))


def _shade(share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(_LOW, _HIGH, strict=True))
    return red, green, blue


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3].rstrip()}..."
