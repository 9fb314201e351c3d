"""A finished run of all outputs, and a way into QGIS's own Python."""

import json
import os
import subprocess
from pathlib import Path

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
QGIS_PYTHON = "/usr/bin/python3"


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


@pytest.fixture(scope="session")
def in_qgis():
    """Return a function that runs code in QGIS's Python and returns what it assigns to `said`."""
    probe = "import qgis.core"
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "GDAL", "PROJ", "VIRTUAL"))
    } | {"QT_QPA_PLATFORM": "offscreen"}
    if (
        not Path(QGIS_PYTHON).exists()
        or subprocess.run(
            [QGIS_PYTHON, "-c", probe], capture_output=True, env=environment
        ).returncode
    ):
        pytest.skip("PyQGIS is not installed (Debian: apt-get install python3-qgis)")

    def run(code, *arguments):
        script = (
            "import json, sys\nfrom qgis.core import *\n"
            "QgsApplication.setPrefixPath('/usr', True)\n"
            "app = QgsApplication([], False)\napp.initQgis()\nsaid = None\n"
            f"{code}\nprint('SAID', json.dumps(said), flush=True)\nimport os\nos._exit(0)\n"
        )
        done = subprocess.run(
            [QGIS_PYTHON, "-c", script, *map(str, arguments)],
            capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip
        lines = [line for line in done.stdout.splitlines() if line.startswith("SAID ")]
        assert lines, done.stderr
        return json.loads(lines[-1][5:])

    return run
