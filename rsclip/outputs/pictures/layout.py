"""A picture laid out: panels in columns under a title, with scale, north and legend below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from PIL import Image, ImageDraw
from rasterio.io import DatasetReader

from rsclip.geo.grid import north_angle, pixel_size_m
from rsclip.outputs.pictures.legend_and_scale import (
    INK,
    Entry,
    draw_legend,
    draw_north,
    draw_scale,
    legend_layout,
)
from rsclip.outputs.pictures.lettering import font_for, legible, shortened, wrapped
from rsclip.outputs.pictures.panels import Panel
from rsclip.types import Shape

__all__ = ["GAP", "MAX_SIDE", "MOST_COLUMNS", "Ground", "draw_layout", "fit_panel"]

MAX_SIDE = 2000
"""Pixels of the longer side of a picture, at most."""
GAP = 28
"""Pixels around and between panels."""
_LEAST_WIDTH = 760
_LETTERS = 21
_TITLE = 30
_CAPTION = 34
_CAPTION_LINE = 27
_CAPTION_LINES = 5
_ARROW = 54
_WARNING_LINES = 3
_MOST_WARNINGS = 4
_WARNING_GROUND, _WARNING_EDGE = (255, 244, 214), (217, 142, 4)
_PADDING = 12
_NO_FONT = "see the run record (no font here has its letters)"
_BELOW_PANELS = 124
# A panel's share of the width at least: captions must not meet.
_LEAST_COLUMN = 260
MOST_COLUMNS = (MAX_SIDE - GAP) // (_LEAST_COLUMN + GAP)
"""Panels side by side, at most."""
_LEGEND_ROWS = 14
# A strip thinner than this could not be seen.
_THINNEST = 10


@dataclass(frozen=True, slots=True)
class Ground:
    """How a grid lies on the ground.

    Attributes:
        shape: (height, width) in pixels.
        sizes: (height, width) of a pixel in metres; None where that is not known.
        north: Degrees clockwise from the picture's top; None where that is not known.
    """

    shape: Shape
    sizes: tuple[float, float] | None
    north: float | None

    @classmethod
    def of(cls, dataset: DatasetReader) -> Self:
        """Measure an open raster."""
        grid = dataset.crs or None, dataset.transform, dataset.shape
        return cls(dataset.shape, pixel_size_m(*grid), north_angle(*grid))

    @property
    def extent(self) -> tuple[float, float]:
        """(height, width) in metres, or in pixels where metres are not known."""
        rows, cols = self.sizes or (1.0, 1.0)
        return self.shape[0] * rows, self.shape[1] * cols


def fit_panel(ground: Ground, columns: int, height: int) -> Shape:
    """Return (height, width) of a panel with the ground's proportions, not the pixel grid's.

    Args:
        ground: The grid.
        columns: Panels side by side.
        height: The most that the panel may take.
    """
    tall, wide = ground.extent
    room = (MAX_SIDE - 2 * GAP - (columns - 1) * GAP) // columns
    factor = min(room / wide, height / tall)
    return max(round(tall * factor), _THINNEST), max(round(wide * factor), _THINNEST)


def draw_layout(
    title: str,
    panels: Sequence[tuple[str, Panel]],
    columns: int,
    ground: Ground,
    entries: Sequence[Entry],
    warnings: Sequence[str] = (),
) -> Image.Image:
    """Draw panels under a title, at most `MAX_SIDE` pixels a side if the panels leave the room.

    Args:
        title: Above the panels.
        panels: Caption and picture, row by row; all of one shape. Of a caption too long for five
            lines the end is left out.
        columns: Panels side by side.
        ground: What the panels show.
        entries: Of the legend, in order of importance.
        warnings: Stand in a banner under the title. Of more than four, and of those longer than
            three lines, the end is left out.
    """
    panel: Shape = panels[0][1].shape[0], panels[0][1].shape[1]
    column = max(panel[1], _LEAST_COLUMN) if columns > 1 else panel[1]
    content = max(columns * column + (columns - 1) * GAP, _LEAST_WIDTH)
    room = column if columns > 1 else content
    captions = [wrapped(text, _LETTERS, room, _CAPTION_LINES) for text, _ in panels]
    stack = [captions[start : start + columns] for start in range(0, len(panels), columns)]
    banner = _banner_lines(warnings, content - 2 * _PADDING)
    above = GAP + _TITLE + 16 + _banner_height(banner)
    below = above + sum(panel[0] + _above(row) for row in stack) + _BELOW_PANELS
    rows = min(_LEGEND_ROWS, max((MAX_SIDE - below - GAP) // 32 - 1, 3))
    layout = legend_layout(entries, content, rows, _LETTERS)
    size = content + 2 * GAP, below + layout.height + GAP
    picture = Image.new("RGB", size, (255, 255, 255))
    images = [pixels for _, pixels in panels]
    title = shortened(legible(title, "scene"), _TITLE, content)
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, GAP), title, fill=INK, font=font_for(title, _TITLE))
    _draw_banner(draw, (GAP, GAP + _TITLE + 16, GAP + content), banner)
    y = _draw_panels(picture, above, list(zip(captions, images, strict=True)), columns, column)
    per_pixel = ground.shape[1] / panel[1]
    draw_scale(
        picture,
        (GAP, y + 22),
        None if ground.sizes is None else ground.sizes[1] * per_pixel,
        per_pixel,
        min(max(panel[1] * 3 // 10, 160), 400),
        _LETTERS,
    )
    if ground.north is not None:
        place = picture.width - GAP - _ARROW, y + _BELOW_PANELS // 2 + 4
        draw_north(picture, place, ground.north, _ARROW)
    draw_legend(picture, (GAP, y + _BELOW_PANELS), layout)
    return picture


def _draw_panels(
    picture: Image.Image,
    y: int,
    panels: Sequence[tuple[Sequence[str], Panel]],
    columns: int,
    column: int,
) -> int:
    """Draw captions (in lines) and panels from row y on; return the row below them."""
    draw = ImageDraw.Draw(picture)
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        y += _above([lines for lines, _ in row])
        for place, (lines, pixels) in enumerate(row):
            x = GAP + place * (column + GAP)
            top = y - _CAPTION - (len(lines) - 1) * _CAPTION_LINE
            for line, text in enumerate(lines):
                at = x, top + line * _CAPTION_LINE
                draw.text(at, text, fill=(110, 110, 110), font=font_for(text, _LETTERS))
            picture.paste(Image.fromarray(pixels), (x, y))
        y += int(row[0][1].shape[0])
    return y


def _banner_lines(warnings: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for text in warnings[:_MOST_WARNINGS]:
        lines += wrapped(f"Warning: {legible(text, _NO_FONT)}", _LETTERS, width, _WARNING_LINES)
    hidden = len(warnings) - _MOST_WARNINGS
    return [*lines, f"and {hidden} more in the run record"] if hidden > 0 else lines


def _banner_height(lines: Sequence[str]) -> int:
    return len(lines) * _CAPTION_LINE + 2 * _PADDING + 12 if lines else 0


def _draw_banner(
    draw: ImageDraw.ImageDraw, place: tuple[int, int, int], lines: Sequence[str]
) -> None:
    """Draw lines of warnings in a box; `place` is (left, top, right)."""
    if not lines:
        return
    left, top, right = place
    bottom = top + len(lines) * _CAPTION_LINE + 2 * _PADDING
    draw.rectangle((left, top, right, bottom), fill=_WARNING_GROUND, outline=_WARNING_EDGE, width=2)
    for row, text in enumerate(lines):
        at = left + _PADDING, top + _PADDING + row * _CAPTION_LINE
        draw.text(at, text, fill=INK, font=font_for(text, _LETTERS))


def _above(captions: Sequence[Sequence[str]]) -> int:
    """Return the pixels that a row's captions take."""
    return _CAPTION + (max(map(len, captions)) - 1) * _CAPTION_LINE
