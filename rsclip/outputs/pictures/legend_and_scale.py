"""What stands around a map: scale bar, north arrow, legend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from rsclip.outputs.pictures.lettering import font_for
from rsclip.words.colours import RGB

__all__ = ["Entry", "draw_legend", "draw_north", "draw_scale", "legend_layout", "round_length"]

INK: RGB = (34, 34, 34)
_PALE: RGB = (150, 150, 150)
_SWATCH = 22
_GAP = 10
_ROW = 32
_COLUMN_GAP = 34
_OVERSAMPLING = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend."""

    name: str
    colour: RGB
    note: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the legend's lines go: column by column."""

    entries: Sequence[Entry]
    hidden: int
    rows: int
    column_width: int
    size: int

    @property
    def height(self) -> int:
        """Pixels that the legend takes."""
        return (self.rows + bool(self.hidden)) * _ROW


def round_length(longest: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(power * step for step in (1, 2, 5) if power * step <= longest * (1 + 1e-9))


def draw_scale(
    image: Image.Image, place: tuple[int, int], metres_per_pixel: float | None,
    pixels_per_pixel: float, wanted: int, size: int,
) -> None:  # fmt: skip
    """Draw a bar of two halves with its length in metres, or in pixels without a CRS.

    Args:
        image: The picture.
        place: (x, y) of its left top.
        metres_per_pixel: Ground metres of one pixel of the picture; None if not known.
        pixels_per_pixel: Scene pixels of one pixel of the picture.
        wanted: Longest length in pixels of the picture.
        size: Height of the letters.
    """
    unit = pixels_per_pixel if metres_per_pixel is None else metres_per_pixel
    length = round_length(wanted * unit)
    if metres_per_pixel is None:
        label = f"{length:,.0f} pixels" if length >= 1 else f"{length:g} pixel"
    elif length >= 1000:
        label = f"{length / 1000:,.0f} km"
    else:
        label = f"{length:g} m" if length >= 1 else f"{length * 100:g} cm"
    x, y = place
    pixels = max(round(length / unit), 2)
    draw = ImageDraw.Draw(image)
    draw.text((x, y), label, fill=INK, font=font_for(label, size))
    top = y + size + 8
    draw.rectangle((x, top, x + pixels, top + 9), fill="white", outline=INK, width=2)
    draw.rectangle((x, top, x + pixels // 2, top + 9), fill=INK)


def draw_north(image: Image.Image, centre: tuple[int, int], angle: float, size: int) -> None:
    """Draw an arrow to true north with an upright N beyond its tip.

    Args:
        image: The picture.
        centre: (x, y) of the arrow's middle.
        angle: Degrees clockwise from the picture's top.
        size: Length of the arrow in pixels.
    """
    side = size * 2
    scale = _OVERSAMPLING
    layer = Image.new("L", (side * scale, side * scale))
    pale = layer.copy()
    turn = math.radians(angle)
    cosine, sine = math.cos(turn), math.sin(turn)

    def at(right: float, up: float) -> tuple[float, float]:
        x, y = right * cosine + up * sine, up * cosine - right * sine
        return (side / 2 + x) * scale, (side / 2 - y) * scale

    half, wing = size / 2, size * 0.24
    ImageDraw.Draw(layer).polygon([at(0, half), at(-wing, -half), at(0, -half * 0.6)], fill=255)
    ImageDraw.Draw(pale).polygon([at(0, half), at(wing, -half), at(0, -half * 0.6)], fill=255)
    corner = centre[0] - side // 2, centre[1] - side // 2
    for each, colour in ((pale, _PALE), (layer, INK)):
        mask = each.resize((side, side), Image.Resampling.LANCZOS)
        image.paste(Image.new("RGB", (side, side), colour), corner, mask)
    reach = half + size * 0.24
    letter = centre[0] + sine * reach, centre[1] - cosine * reach
    ImageDraw.Draw(image).text(
        letter, "N", fill=INK, font=font_for("N", round(size * 0.4)), anchor="mm"
    )


def legend_layout(entries: Sequence[Entry], width: int, rows: int, size: int) -> Layout:
    """Arrange entries in columns; what does not fit is left out from the end.

    Args:
        entries: In order of importance.
        width: Pixels at hand.
        rows: Most lines.
        size: Height of the letters.
    """
    widest = max((_width(entry, size) for entry in entries), default=0)
    column = min(_SWATCH + _GAP + widest + _COLUMN_GAP, width)
    columns = max(1, (width + _COLUMN_GAP) // column)
    shown = entries[: columns * rows]
    return Layout(shown, len(entries) - len(shown), -(-len(shown) // columns), column, size)


def draw_legend(image: Image.Image, place: tuple[int, int], layout: Layout) -> None:
    """Draw a legend whose left top is at `place`."""
    draw = ImageDraw.Draw(image)
    for index, entry in enumerate(layout.entries):
        column, row = divmod(index, max(layout.rows, 1))
        x, y = place[0] + column * layout.column_width, place[1] + row * _ROW
        draw.rectangle((x, y, x + _SWATCH, y + _SWATCH), fill=entry.colour, outline=_PALE)
        room = layout.column_width - _SWATCH - _GAP
        font = font_for(entry.name, layout.size)
        note = f"  {entry.note}" if entry.note else ""
        note_width = font_for(note, layout.size).getlength(note)
        name = entry.name
        while len(name) > 2 and font.getlength(name) + note_width > room:
            name = name[:-2] + "…"
            font = font_for(name, layout.size)
        left, middle = x + _SWATCH + _GAP, y + _SWATCH // 2
        draw.text((left, middle), name, fill=INK, font=font, anchor="lm")
        draw.text((left + font.getlength(name), middle), note, fill=(110, 110, 110),
                  font=font_for(note, layout.size), anchor="lm")  # fmt: skip
    if layout.hidden:
        text = f"and {layout.hidden} more"
        place = place[0], place[1] + layout.rows * _ROW
        draw.text(place, text, fill=INK, font=font_for(text, layout.size))


def _width(entry: Entry, size: int) -> int:
    note = f"  {entry.note}" if entry.note else ""
    return math.ceil(
        font_for(entry.name, size).getlength(entry.name) + font_for(note, size).getlength(note)
    )
