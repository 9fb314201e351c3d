"""Files of many bands: hyperspectral cubes, and damaged headers that claim thousands."""

import numpy as np
import rasterio

from rsclip.scene.bands import choose_bands, name_bands
from tests.rasters import write_raster


class Counted:
    """A dataset that counts how often it is asked for what costs a look at every band."""

    def __init__(self, dataset):
        self._dataset, self.asked = dataset, 0

    def __getattr__(self, name):
        self.asked += name == "colorinterp"
        return getattr(self._dataset, name)


def test_the_meaning_of_bands_is_not_asked_for_anew_for_each_of_them(tmp_path):
    path = tmp_path / "cube.tif"
    write_raster(path, np.zeros((300, 4, 4), "uint8"))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(211, "NIR")
    with rasterio.open(path) as dataset:
        counted = Counted(dataset)
        found = name_bands(counted, choose_bands(counted, None))
    assert found["nir"] == 211
    assert counted.asked <= 4
