"""`<stem>_compare.png`: image, truth and the masks of all methods side by side."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsclip.errors import ReadError
from rsclip.outputs.pictures.layout import MOST_COLUMNS, Ground, draw_layout, fit_panel
from rsclip.outputs.pictures.panels import (
    EMPTY,
    Panel,
    class_entries,
    colour_table,
    image_panel,
    mask_panel,
)
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import Radiometry
from rsclip.types import Shape
from rsclip.words.legend import Legend

__all__ = ["coarse_shape", "draw_comparison"]

# Rows of panels share this height.
_HEIGHT = 1240
_CAPTIONS = 34
# Of a truth that is drawn in a panel of any size.
_COARSE = 1000


def coarse_shape(shape: Shape) -> Shape:
    """Return the (height, width) at which the truth is kept for its picture."""
    factor = min(1.0, _COARSE / max(shape))
    return max(round(shape[0] * factor), 1), max(round(shape[1] * factor), 1)


def draw_comparison(
    title: str,
    masks: Mapping[str, Path],
    legend: Legend,
    shares: Mapping[str, float],
    scene: Scene,
    radiometry: Radiometry,
    truth: NDArray[np.int32] | None,
) -> Image.Image:
    """Draw the scene, the truth if there is one, and every mask.

    Args:
        title: Above the picture.
        masks: Caption -> mask.
        legend: Names and colours.
        shares: Class name -> its mean share (0 to 1) of the valid pixels: the largest come first.
        scene: The open scene.
        radiometry: Its stretch.
        truth: int32 (h, w), the whole scene's: legend values, negative where unknown.

    Raises:
        ReadError: The scene or a mask cannot be read.
    """
    first = next(iter(masks.values()))
    with guarded(first, ReadError), open_dataset(first) as dataset:
        ground = Ground.of(dataset)
    count = 1 + (truth is not None) + len(masks)
    columns, panel = _arrange(ground, count)
    panels: list[tuple[str, Panel]] = [("image", image_panel(scene, radiometry, panel))]
    if truth is not None:
        panels.append(("labels", _truth_panel(truth, legend, panel)))
    for caption, path in masks.items():
        with guarded(path, ReadError), open_dataset(path) as dataset:
            colours, labels = mask_panel(dataset, legend, panel)
        panels.append((caption, _filled(colours, labels != legend.nodata)))
    return draw_layout(title, panels, columns, ground, class_entries(legend, shares, noted=False))


def _arrange(ground: Ground, count: int) -> tuple[int, Shape]:
    """Return the columns that make panels largest, and the panels' (height, width)."""

    def panel(columns: int) -> Shape:
        rows = -(-count // columns)
        return fit_panel(ground, columns, max(_HEIGHT // rows - _CAPTIONS, _CAPTIONS))

    # Of equally large panels, those in more columns: a lower picture.
    best = max(
        range(1, min(count, MOST_COLUMNS) + 1), key=lambda columns: (panel(columns), columns)
    )
    return best, panel(best)


def _truth_panel(truth: NDArray[np.int32], legend: Legend, panel: Shape) -> Panel:
    resized = Image.fromarray(truth).resize(panel[::-1], Image.Resampling.NEAREST)
    values = np.asarray(resized)
    return _filled(colour_table(legend)[np.maximum(values, 0)], values >= 0)


def _filled(colours: NDArray[np.float32], covered: NDArray[np.bool_]) -> Panel:
    filled: Panel = np.where(covered[..., None], colours, EMPTY).astype(np.uint8)
    return filled
