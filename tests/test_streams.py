"""Standard output that cannot take a text leaves the exit code to the work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.rasters import write_raster

_RSCLIP = [sys.executable, "-c", "from rsclip_cli.main import main; main()"]
_FULL = Path("/dev/full")


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.json"
    content = [{"name": "水域 🌲", "words": ["water"]}, {"name": "forest", "words": ["forest"]}]
    path.write_text(json.dumps(content))
    return str(path)


def run(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
    environment = {**os.environ, **environment}
    return subprocess.run(
        [*_RSCLIP, *arguments], stdout=stdout, stderr=stderr, env=environment, check=False
    )


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_characters_that_the_output_lacks_are_escaped(classes, encoding, unbuffered):
    done = run("classes", classes, "--json", PYTHONIOENCODING=encoding, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 0, done.stderr
    assert "水域 🌲" in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)
    assert done.stderr.decode().count("are written as \\u codes") == 1


@pytest.mark.skipif(not _FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_device_as_output_leaves_the_exit_code_to_the_work(classes, unbuffered):
    with _FULL.open("w") as full:
        done = run("classes", classes, stdout=full, PYTHONUNBUFFERED=unbuffered)
        assert done.returncode == 0
        assert b"standard output cannot be written" in done.stderr
        assert run("classes", classes, stdout=full, stderr=full).returncode == 0
        assert run("classes", "none.json", stdout=full, stderr=full).returncode == 2


def test_a_unit_without_a_code_prints_nothing_of_proj(tmp_path):
    crs = "+proj=utm +zone=31 +datum=WGS84 +units=km"
    grid = rasterio.Affine(0.01, 0, 500, 0, -0.01, 5000)
    path = write_raster(tmp_path / "km.tif", np.zeros((3, 8, 8), np.uint8), crs=crs, transform=grid)
    done = run("info", str(path), "--model", "nano")
    assert b"10 x 10 m" in done.stdout
    assert b"proj" not in done.stderr
