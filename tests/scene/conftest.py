"""Shared by the tests of reading."""

import numpy as np
import pytest
import rasterio

from rsclip.scene.scene import Scene
from rsclip.types import Window
from tests.rasters import write_raster


@pytest.fixture
def make(tmp_path):
    """Return a function that writes pixels (bands, height, width) to a GeoTIFF."""

    def make(pixels, name="made.tif", **profile):
        return write_raster(tmp_path / name, np.asarray(pixels), **profile)

    return make


@pytest.fixture
def noise():
    """Return a function that draws pixels 1..254 of a shape (bands, height, width)."""

    def noise(*shape, dtype="uint8"):
        return np.random.default_rng(1).integers(1, 255, shape).astype(dtype)

    return noise


@pytest.fixture
def whole():
    """Return a function that reads a whole scene: (pixels, valid, what rasterio says is valid)."""

    def whole(path, **options):
        with Scene.open(path, **options) as scene:
            pixels, valid = scene.read(Window(0, 0, *scene.working_shape))
        with rasterio.open(path) as dataset:
            return pixels, valid, dataset.dataset_mask() > 0

    return whole
