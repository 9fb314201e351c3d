"""A sheet: panels in columns under a title, with scale, north and legend below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from PIL import Image, ImageDraw
from rasterio.io import DatasetReader

from rsclip.compass import north_angle
from rsclip.geometry import pixel_size_m
from rsclip.types import Shape
from rsclip.writers.furniture import (
    INK,
    Entry,
    draw_legend,
    draw_north,
    draw_scale,
    legend_layout,
)
from rsclip.writers.lettering import font_for, legible
from rsclip.writers.panels import Panel

__all__ = ["GAP", "MAX_SIDE", "Ground", "draw_sheet", "fit_panel"]

MAX_SIDE = 2000
"""Pixels of a sheet's longer side, at most."""
GAP = 28
"""Pixels around and between panels."""
_LEAST_WIDTH = 760
_LETTERS = 21
_TITLE = 30
_CAPTION = 34
_ARROW = 54
_FURNITURE = 124
# A panel's share of the width at least: captions must not meet.
_LEAST_COLUMN = 260
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


def draw_sheet(
    title: str,
    panels: Sequence[tuple[str, Panel]],
    columns: int,
    ground: Ground,
    entries: Sequence[Entry],
) -> Image.Image:
    """Draw a sheet, at most `MAX_SIDE` pixels a side if the panels leave the room.

    Args:
        title: Above the panels.
        panels: Caption and picture, row by row; all of one shape.
        columns: Panels side by side.
        ground: What the panels show.
        entries: Of the legend, in order of importance.
    """
    panel: Shape = panels[0][1].shape[0], panels[0][1].shape[1]
    column = max(panel[1], _LEAST_COLUMN) if columns > 1 else panel[1]
    content = max(columns * column + (columns - 1) * GAP, _LEAST_WIDTH)
    stack = -(-len(panels) // columns)
    below = GAP + _TITLE + 16 + stack * (panel[0] + _CAPTION) + _FURNITURE
    rows = min(_LEGEND_ROWS, max((MAX_SIDE - below - GAP) // 32 - 1, 3))
    layout = legend_layout(entries, content, rows, _LETTERS)
    size = content + 2 * GAP, below + layout.height + GAP
    picture = Image.new("RGB", size, (255, 255, 255))
    y = _draw_panels(picture, title, panels, columns, column)
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
        place = picture.width - GAP - _ARROW, y + _FURNITURE // 2 + 4
        draw_north(picture, place, ground.north, _ARROW)
    draw_legend(picture, (GAP, y + _FURNITURE), layout)
    return picture


def _draw_panels(
    picture: Image.Image,
    title: str,
    panels: Sequence[tuple[str, Panel]],
    columns: int,
    column: int,
) -> int:
    """Draw title, captions and panels; return the row below them."""
    draw = ImageDraw.Draw(picture)
    inner = picture.width - 2 * GAP
    title = legible(title, "scene")
    font = font_for(title, _TITLE)
    while len(title) > 2 and font.getlength(title) > inner:
        title = title[:-2] + "…"
        font = font_for(title, _TITLE)
    draw.text((GAP, GAP), title, fill=INK, font=font)
    top = GAP + _TITLE + 16
    step = int(panels[0][1].shape[0]) + _CAPTION
    for index, (caption, pixels) in enumerate(panels):
        row, place = divmod(index, columns)
        x, y = GAP + place * (column + GAP), top + row * step
        draw.text((x, y), caption, fill=(110, 110, 110), font=font_for(caption, _LETTERS))
        picture.paste(Image.fromarray(pixels), (x, y + _CAPTION))
    return top + step * -(-len(panels) // columns)
