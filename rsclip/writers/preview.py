"""`<stem>_preview.png`: the image, the classes over it, legend, scale and north in one picture.

Read decimated, so that a scene of 40,000 pixels a side takes no more memory than one of 2,000.
Panels have the proportions of the ground, not of the pixel grid, which degrees would squeeze.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.io import DatasetReader

from rsclip.compass import north_angle
from rsclip.geometry import pixel_size_m
from rsclip.legend import Legend
from rsclip.radiometry import Radiometry
from rsclip.scene import Scene
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
from rsclip.writers.staging import write_error

__all__ = ["MAX_SIDE", "render_preview", "write_preview"]

MAX_SIDE = 2000
_MARGIN = 28
_LEAST_WIDTH = 760
_LETTERS = 21
_TITLE = 30
_CAPTION = 34
_ARROW = 54
_FURNITURE = 124
# A panel's share of the width at least: captions must not meet.
_LEAST_COLUMN = 260
_LEGEND_ROWS = 14
# Wider scenes have their panels one above the other.
_WIDE = 1.8
_HEIGHT_BESIDE, _HEIGHT_ABOVE = 1160, 520
# A strip thinner than this could not be seen.
_THINNEST = 10
_OVERLAY = 0.5
_EMPTY = 238
# Pixels read per pixel drawn: enough that decimation does not show.
_FINER = 1.5

Panel = NDArray[np.uint8]


def write_preview(path: str | Path, picture: Image.Image) -> None:
    """Write a picture as PNG.

    Raises:
        WriteError: The file cannot be written.
    """
    try:
        picture.save(path, "PNG", optimize=True)
    except OSError as error:
        raise write_error(error, path) from error


def render_preview(
    mask: str | Path,
    legend: Legend,
    title: str,
    shares: Mapping[str, float],
    scene: Scene | None = None,
    radiometry: Radiometry | None = None,
) -> Image.Image:
    """Draw a scene's preview, at most `MAX_SIDE` pixels a side.

    Args:
        mask: The finished mask; gives the grid.
        legend: Names and colours.
        title: Above the picture.
        shares: Class name -> share (0 to 1) of the valid pixels; the largest come first.
        scene: The open scene; without it the classes stand alone.
        radiometry: The scene's stretch.

    Raises:
        ReadError: The scene cannot be read.
        OSError: The mask cannot be read.
    """
    with rasterio.open(mask) as dataset:
        sizes = pixel_size_m(dataset.crs or None, dataset.transform, dataset.shape)
        north = north_angle(dataset.crs or None, dataset.transform, dataset.shape)
        panel = _panel_shape(dataset.shape, sizes or (1.0, 1.0))
        colours, covered = _mask_panel(dataset, legend, panel)
        width = dataset.width
    if scene is None or radiometry is None:
        panels = [("classes", np.where(covered[..., None], colours, _EMPTY).astype(np.uint8))]
    else:
        image = _image_panel(scene, radiometry, panel)
        mixed = np.rint(image * (1 - _OVERLAY) + colours * _OVERLAY).astype(np.uint8)
        overlay = np.where(covered[..., None], mixed, image)
        panels = [("image", image), ("classes over the image", overlay)]
    entries = _entries(legend, shares)
    beside = panel[1] <= _WIDE * panel[0] and len(panels) == 2
    content = max(
        max(panel[1], _LEAST_COLUMN) * 2 + _MARGIN if beside else panel[1],
        _LEAST_WIDTH,
    )
    stack = 1 if beside else len(panels)
    below = _MARGIN + _TITLE + 16 + stack * (panel[0] + _CAPTION) + _FURNITURE
    rows = min(_LEGEND_ROWS, max((MAX_SIDE - below - _MARGIN) // 32 - 1, 3))
    layout = legend_layout(entries, content, rows, _LETTERS)
    picture = Image.new(
        "RGB", (content + 2 * _MARGIN, below + layout.height + _MARGIN), (255, 255, 255)
    )
    y = _draw_panels(picture, title, panels, panel, beside)
    per_pixel = width / panel[1]
    draw_scale(
        picture,
        (_MARGIN, y + 22),
        None if sizes is None else sizes[1] * per_pixel,
        per_pixel,
        min(max(panel[1] * 3 // 10, 160), 400),
        _LETTERS,
    )
    if north is not None:
        place = picture.width - _MARGIN - _ARROW, y + _FURNITURE // 2 + 4
        draw_north(picture, place, north, _ARROW)
    draw_legend(picture, (_MARGIN, y + _FURNITURE), layout)
    return picture


def _draw_panels(
    picture: Image.Image, title: str, panels: list[tuple[str, Panel]], panel: Shape, beside: bool
) -> int:
    """Draw title, captions and panels; return the row below them."""
    draw = ImageDraw.Draw(picture)
    inner = picture.width - 2 * _MARGIN
    title = legible(title, "scene")
    font = font_for(title, _TITLE)
    while len(title) > 2 and font.getlength(title) > inner:
        title = title[:-2] + "…"
        font = font_for(title, _TITLE)
    draw.text((_MARGIN, _MARGIN), title, fill=INK, font=font)
    y = _MARGIN + _TITLE + 16
    x = _MARGIN
    for caption, pixels in panels:
        draw.text((x, y), caption, fill=(110, 110, 110), font=font_for(caption, _LETTERS))
        picture.paste(Image.fromarray(pixels), (x, y + _CAPTION))
        if beside:
            x += max(panel[1], _LEAST_COLUMN) + _MARGIN
        else:
            y += panel[0] + _CAPTION
    return y + panel[0] + _CAPTION if beside else y


def _panel_shape(shape: Shape, sizes: tuple[float, float]) -> Shape:
    """Return (height, width) of a panel with the ground's proportions."""
    height, width = shape[0] * sizes[0], shape[1] * sizes[1]
    room = MAX_SIDE - 2 * _MARGIN
    if width <= _WIDE * height:
        factor = min((room - _MARGIN) // 2 / width, _HEIGHT_BESIDE / height)
    else:
        factor = min(room / width, _HEIGHT_ABOVE / height)
    return max(round(height * factor), _THINNEST), max(round(width * factor), _THINNEST)


def _mask_panel(
    dataset: DatasetReader, legend: Legend, panel: Shape
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return colours (h, w, 3) and where there is data (h, w)."""
    out_shape = tuple(min(a, b) for a, b in zip(dataset.shape, panel, strict=True))
    labels = dataset.read(1, out_shape=out_shape)
    labels = np.asarray(
        Image.fromarray(labels.astype(np.int32)).resize(panel[::-1], Image.Resampling.NEAREST)
    )
    table = np.zeros((legend.nodata + 1, 3), np.float32)
    for value, colour in legend.colours.items():
        table[value] = colour
    return table[labels.clip(0, legend.nodata)], labels != legend.nodata


def _image_panel(scene: Scene, radiometry: Radiometry, panel: Shape) -> Panel:
    """Return the stretched scene (h, w, 3), pale where it has no data."""
    pixels, valid = scene.sample(round(max(panel) * _FINER))
    image = np.rint(radiometry.apply(pixels, valid) * 255).astype(np.uint8).transpose(1, 2, 0)
    image = np.where(valid[..., None], image, np.uint8(_EMPTY))
    small = image.shape[0] < panel[0] or image.shape[1] < panel[1]
    # Few pixels are shown as the squares that they are.
    method = Image.Resampling.NEAREST if small else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(panel[::-1], method))


def _entries(legend: Legend, shares: Mapping[str, float]) -> list[Entry]:
    """Return the classes, those that are there first, largest first; unclassified only if there."""
    entries = []
    words = {item.name: f"{item.words[0]} ({item.value})" for item in legend.foreground}
    for value, name in legend.names.items():
        share = shares.get(name, 0.0)
        if value or share:
            note = "" if not share else "<0.1%" if share < 0.001 else f"{share:.1%}"
            shown = legible(name, words.get(name, name))
            entries.append((-share, value, Entry(shown, legend.colours[value], note)))
    return [entry for *_, entry in sorted(entries, key=lambda item: item[:2])]
