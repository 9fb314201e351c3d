"""Shared by all tests: small models with seeded weights, small scenes, the command line, QGIS."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import settings
from PIL import Image

# A busy machine takes its time: that is no failure.
settings.register_profile("rsclip", deadline=None)
settings.load_profile("rsclip")

# No test may ask a hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Nor read or leave anything in the user's own cache.
os.environ["RSCLIP_CACHE"] = "off"

QGIS_PYTHON = "/usr/bin/python3"

TINY = {
    "embed_dim": 32,
    "vision_cfg": {
        "layers": 2, "width": 64, "head_width": 32, "patch_size": 8, "image_size": 32,
    },
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> str:
    """A folder in open_clip's hub form: a CLIP of random weights that means nothing."""
    import torch
    from safetensors.torch import save_file

    from rsclip.model.open_clip_import import import_open_clip
    from tests.data.parity.recipe import seeded_weights

    open_clip = import_open_clip()
    model = open_clip.model.CLIP(quick_gelu=False, **TINY)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = {name: torch.from_numpy(a) for name, a in seeded_weights(shapes, 7).items()}
    folder = tmp_path_factory.mktemp("tiny")
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {"model_cfg": TINY, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture
def make_scene(tmp_path):
    """Return a function that writes a small GeoTIFF of blobs and returns its path."""

    def make(name="scene.tif", shape=(70, 90), count=3, dtype="uint8", nodata=None, **profile):
        rng = np.random.default_rng(3)
        coarse = rng.uniform(20, 250, (count, -(-shape[0] // 16), -(-shape[1] // 16)))
        pixels = np.kron(coarse, np.ones((1, 16, 16)))[:, : shape[0], : shape[1]]
        pixels = (pixels + rng.normal(0, 3, pixels.shape)).clip(1, 255)
        if dtype == "uint16":
            pixels = pixels * 40
        path = tmp_path / name
        settings = {
            "crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6), **profile
        }  # fmt: skip
        with rasterio.open(
            path, "w", driver="GTiff", height=shape[0], width=shape[1], count=count, dtype=dtype,
            nodata=nodata, **settings,
        ) as dataset:  # fmt: skip
            dataset.write(pixels.astype(dtype))
        return path

    return make


@pytest.fixture
def small_disk(tmp_path):
    """Return a function that gives a disk of its own another size and returns its folder."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(options, capture_output=True).returncode == 0
    except (AttributeError, OSError):
        mounted = False
    if not mounted:
        pytest.skip("mounting a small disk needs root on Linux")

    def resize(kilobytes):
        remount = ["mount", "-o", f"remount,size={kilobytes}k", str(folder)]
        subprocess.run(remount, check=True)
        return folder

    yield resize
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def rsclip():
    """Run the command line in this process; return click's result."""
    from rsclip_cli.main import cli

    def run(*arguments):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture
def look_at(chromium, tmp_path):
    """Return a function that opens a page in Chromium and returns the picture, (1000, height).

    The page must ask for nothing but itself.
    """

    def look(page, height=1400, *, dark=False):
        picture, log = tmp_path / "page.png", tmp_path / "net.json"
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu",
            f"--window-size=1000,{height}", f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}", "--virtual-time-budget=3000",
            "--disable-background-networking", "--disable-component-update", "--no-first-run",
            f"--screenshot={picture}",
            *(["--blink-settings=preferredColorScheme=0"] if dark else []), page.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, capture_output=True, timeout=90, check=True)
        # Addresses of the browser's own asking are no matter of the page.
        asked = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text(errors="replace")))
        assert not {url for url in asked if "google" not in url and "gvt1" not in url}
        with Image.open(picture) as shot:
            return shot.convert("RGB")

    return look


def qgis_environment():
    """Return the environment for programs of QGIS, which bring their own Python and GDAL."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "GDAL", "PROJ", "VIRTUAL"))
    }
    # The first Python on the PATH would be taken for QGIS's own.
    return kept | {"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen"}


@pytest.fixture(scope="session")
def qgis_python(tmp_path_factory):
    """Return a function that runs QGIS's Python with arguments."""
    # The settings of whoever runs the tests stay as they are.
    settings = {"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("settings"))}

    def run(*arguments, timeout=120):
        return subprocess.run(
            [QGIS_PYTHON, *map(str, arguments)],
            capture_output=True, text=True, env=qgis_environment() | settings, timeout=timeout,
        )  # fmt: skip

    if not Path(QGIS_PYTHON).exists() or run("-c", "import qgis.core").returncode:
        pytest.skip("PyQGIS is not installed (Debian: apt-get install python3-qgis)")
    return run


@pytest.fixture(scope="session")
def in_qgis(qgis_python):
    """Return a function that runs code in QGIS's Python and returns what it assigns to `said`."""

    def run(code, *arguments):
        script = (
            "import json, sys\nfrom qgis.core import *\n"
            "QgsApplication.setPrefixPath('/usr', True)\n"
            "app = QgsApplication([], False)\napp.initQgis()\nsaid = None\n"
            f"{code}\nprint('SAID', json.dumps(said), flush=True)\nimport os\nos._exit(0)\n"
        )
        return said_by(qgis_python("-c", script, *arguments))

    return run


def said_by(done):
    """Return what a script in QGIS has said as its last words."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("SAID ")]
    assert lines, done.stderr
    return json.loads(lines[-1][5:])
