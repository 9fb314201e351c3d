"""`<stem>_preview.png`: the image, the classes over it, legend, scale and north in one picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

from rsclip.legend import Legend
from rsclip.radiometry import Radiometry
from rsclip.scene import Scene
from rsclip.writers.panels import EMPTY, class_entries, image_panel, mask_panel
from rsclip.writers.sheet import MAX_SIDE, Ground, draw_sheet, fit_panel
from rsclip.writers.staging import write_error

__all__ = ["MAX_SIDE", "render_preview", "write_preview"]

# Wider scenes have their panels one above the other.
_WIDE = 1.8
_HEIGHT_BESIDE, _HEIGHT_ABOVE = 1160, 520
_OVERLAY = 0.5


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
        ground = Ground.of(dataset)
        wide = ground.extent[1] > _WIDE * ground.extent[0]
        height = _HEIGHT_ABOVE if wide else _HEIGHT_BESIDE
        panel = fit_panel(ground, 1 if wide else 2, height)
        colours, covered = mask_panel(dataset, legend, panel)
    if scene is None or radiometry is None:
        classes = np.where(covered[..., None], colours, EMPTY).astype(np.uint8)
        panels = [("classes", classes)]
    else:
        image = image_panel(scene, radiometry, panel)
        mixed = np.rint(image * (1 - _OVERLAY) + colours * _OVERLAY).astype(np.uint8)
        overlay = np.where(covered[..., None], mixed, image)
        panels = [("image", image), ("classes over the image", overlay)]
    columns = 1 if wide else len(panels)
    return draw_sheet(title, panels, columns, ground, class_entries(legend, shares))
