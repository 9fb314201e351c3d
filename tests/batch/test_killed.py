"""A batch that is killed with all that keeps state switched on, at the times it really keeps."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import geopandas
import numpy as np
import pytest
import rasterio

OPTIONS = [
    "--classes", "building|house, road, water, forest", "--model", "nano", "--refine", "pamr",
    "--upsample", "jbu:2",
    "--sieve", "8", "--tta", "flips", "--confidence",
]  # fmt: skip


def batch(scene, out):
    """Start a batch in a session of its own, so that a kill takes its children along."""
    command = "from rsclip_cli.main import cli; cli()"
    return subprocess.Popen(
        [sys.executable, "-c", command, "batch", str(scene), "-o", str(out), *OPTIONS],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


def tiles_kept(out):
    """Return how many windows the state of a begun run counts."""
    tiles = 0
    for path in out.glob(".rsclip-*/work/state.npz"):
        # A run that ends removes it.
        with contextlib.suppress(FileNotFoundError), np.load(path) as state:
            tiles = int(state["tile"])
    return tiles


@pytest.mark.long
def test_killed_batches_go_on_to_the_same_bits(make_scene, tmp_path):
    scene = make_scene(shape=(900, 900))
    whole = batch(scene, tmp_path / "whole")
    said = whole.communicate()[1]
    assert whole.returncode == 0, said
    out, kept, kills = tmp_path / "cut", 0, 0
    chance = random.Random(5)
    for _ in range(4):
        running = batch(scene, out)
        # Each run gets further than the one before, then a little more that is lost.
        while tiles_kept(out) <= kept and running.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1))
        if running.poll() is not None:
            break
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        before, kept = kept, tiles_kept(out)
        if not kept:
            # It was giving its outputs their names.
            break
        kills += 1
        assert kept > before
    assert kills
    last = batch(scene, out)
    said = last.communicate()[1]
    assert last.returncode == 0, said
    # A warning, which is shown as nothing here is quiet.
    assert "nano" in said
    assert "starts over" not in said
    for name in ("scene_mask.tif", "scene_confidence.tif"):
        with rasterio.open(tmp_path / "whole" / name) as one, rasterio.open(out / name) as other:
            np.testing.assert_array_equal(one.read(), other.read())
    frames = [
        geopandas.read_file(folder / "scene_polygons.gpkg", layer="polygons")
        for folder in (tmp_path / "whole", out)
    ]
    assert len(frames[0]) > 3
    assert frames[0].equals(frames[1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_workers_that_still_load_end_with_a_killed_batch(make_scene, tmp_path):
    psutil = pytest.importorskip("psutil")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "ab":
        make_scene(shape=(64, 64)).rename(folder / f"{name}.tif")
    command = "from rsclip_cli.main import cli; cli()"
    options = ["-o", str(tmp_path / "out"), *OPTIONS, "--jobs", "2"]
    running = subprocess.Popen(
        [sys.executable, "-c", command, "batch", str(folder), *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    first = psutil.Process(running.pid)
    while len(workers := first.children()) < 3 and running.poll() is None:
        time.sleep(0.01)
    running.kill()
    said = running.communicate()[1]
    # Twice the seconds that are promised: a busy machine starts Python slowly.
    assert not psutil.wait_procs(workers, timeout=4)[1]
    assert "Traceback" not in said
