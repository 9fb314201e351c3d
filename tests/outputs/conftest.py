"""A finished run of all outputs."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

import rsclip as library
from rsclip.words.legend import load_legend

CLASSES = {"Gebäude": "building", "road & <rail>": "road", "川": "river"}
ALL = {
    "confidence": True, "margin": True, "probabilities": True, "sld": True, "qgis_project": True,
    "preview": True, "stac": True,
}  # fmt: skip
ROTATED = Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)


@pytest.fixture(scope="session")
def legend():
    return load_legend(CLASSES)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny_model):
    """A rotated scene with a nodata corner, segmented with every output."""
    folder = tmp_path_factory.mktemp("look")
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(20, 250, (3, 10, 12)), np.ones((1, 16, 16))).astype("uint8")
    pixels[:, :70, :70] = 0
    scene = folder / "scene.tif"
    with rasterio.open(
        scene, "w", driver="GTiff", height=160, width=192, count=3, dtype="uint8", nodata=0,
        crs="EPSG:32633", transform=ROTATED,
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return library.segment(scene, CLASSES, folder / "out", model=tiny_model, **ALL)
