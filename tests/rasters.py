"""The public rasters that tests read where they are at hand, and a small GeoTIFF maker."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio

VARIABLE = "RSCLIP_TEST_RASTERS"


def folder() -> Path:
    """Folder of the rasters: RSCLIP_TEST_RASTERS, or shared/rasters beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "rasters"
    return Path(os.environ.get(VARIABLE, beside))


def raster(name: str) -> Path:
    """Path of a raster such as "rasterio/RGB.byte.tif"; without it the test is skipped."""
    path = folder() / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {folder()}: set {VARIABLE} to the folder of test rasters")
    return path


def write_raster(path: Path, pixels: np.ndarray, **profile) -> Path:
    """Write (bands, height, width) as a GeoTIFF: 0.5 m pixels in UTM unless told otherwise."""
    settings = {
        "driver": "GTiff",
        "crs": "EPSG:32633",
        "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
        **profile,
    }
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=pixels.dtype, **settings
    ) as dataset:
        dataset.write(pixels)
    return path
