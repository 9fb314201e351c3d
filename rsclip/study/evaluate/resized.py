"""Images worked on at another size, as papers do: without a place on Earth, pixels count."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from rsclip.errors import ReadError
from rsclip.run.arrays import as_file
from rsclip.scene.gdal import guarded, open_dataset

__all__ = ["RESIZES", "resized"]

RESIZES = ("short_side", "long_side", "scale")
"""Pixels of the shorter or the longer side, or a factor."""

# A plane around a point of the equator, where a unit is a metre: a pixel is made one of them.
_PLANE = "+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"


def resized(image: str, folder: Path, resize: Mapping[str, Any]) -> tuple[str, float]:
    """Copy an image to where a pixel is one metre, and say what `--gsd` gives it the wanted size.

    Labels then come on the image's own pixels, interpolated from the model's patch grid.

    Args:
        image: The file.
        folder: Where the copy goes.
        resize: One of `RESIZES` and its number.

    Returns:
        The copy, and metres.

    Raises:
        ReadError: The image cannot be read.
        WriteError: The copy cannot be written.
    """
    with guarded(image, ReadError), open_dataset(image) as dataset:
        pixels = dataset.read()
        mask = dataset.dataset_mask()
    height, width = pixels.shape[1:]
    ((kind, value),) = resize.items()
    sides = {"short_side": min(height, width), "long_side": max(height, width), "scale": 1.0}
    if not mask.all() and pixels.shape[0] <= 3:
        pixels = np.ma.masked_array(pixels, np.broadcast_to(mask == 0, pixels.shape))
    place = Affine(1, 0, -width / 2, 0, -1, height / 2)
    path = as_file(pixels, folder, transform=place, crs=_PLANE)
    return str(path), sides[kind] / value
