"""Small regions of labels merged into their largest neighbour, with GDAL's sieve."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import sieve
from rasterio.windows import Window

from rsclip.types import Shape

__all__ = ["sieve_labels", "write_scratch"]

_LAYOUT = {"tiled": True, "blockxsize": 512, "blockysize": 128, "compress": "DEFLATE"}

Blocks = Iterator[tuple[int, NDArray[Any]]]


def sieve_labels(labels: Path, valid: Path, sieved: Path, pixels: int) -> NDArray[Any]:
    """Return the labels (H, W) with small regions merged, as a map of a scratch file.

    Pixels of a region touch by their sides. Nodata is no region and gains no pixels; what only
    nodata surrounds stays. GDAL's sieve reads line by line and holds some bytes per region.

    Args:
        labels: A raster of uint8, uint16, int16 or int32.
        valid: A raster that is 0 where there is no data.
        sieved: The scratch file; the caller removes it.
        pixels: The least size of a region that stays.
    """
    with warnings.catch_warnings():
        # Without a place on Earth there is nothing to warn of: these files go again.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(labels) as source, rasterio.open(valid) as mask:
            out = np.memmap(sieved, source.dtypes[0], "w+", shape=source.shape)
            # No region is larger than the raster, and GDAL refuses to look for one.
            least = min(pixels, source.width * source.height)
            sieve(rasterio.band(source, 1), least, out=out, mask=rasterio.band(mask, 1))
    return out


def write_scratch(path: Path, shape: Shape, dtype: Any, blocks: Blocks, **options: Any) -> None:
    """Write a raster of one band that only this process reads.

    Args:
        path: A GeoTIFF.
        shape: (height, width).
        dtype: Of the pixels.
        blocks: First row and pixels (n, W), from top to bottom.
        **options: Of the driver.
    """
    height, width = shape
    settings = {"driver": "GTiff", "dtype": dtype, "count": 1, "bigtiff": "IF_SAFER", **_LAYOUT}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", height=height, width=width, **settings, **options) as out:
            for top, block in blocks:
                out.write(block, 1, window=Window(0, top, width, len(block)))
