"""A batch that is killed with all that keeps state switched on, at the times it really keeps."""

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
    "--sieve", "8", "--tta", "flips", "--confidence", "--quiet",
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


@pytest.mark.long
def test_killed_batches_go_on_to_the_same_bits(make_scene, tmp_path):
    scene = make_scene(shape=(900, 900))
    whole = batch(scene, tmp_path / "whole")
    began = time.monotonic()
    said = whole.communicate()[1]
    assert whole.returncode == 0, said
    took = time.monotonic() - began
    out, kept = tmp_path / "cut", 0
    chance = random.Random(5)
    for _ in range(4):
        running = batch(scene, out)
        wait = chance.uniform(0.5, 0.9) * took
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.05)
        if running.poll() is not None:
            break
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        states = list(out.glob(".rsclip-*/work/state.npz"))
        if states:
            with np.load(states[0]) as state:
                # What one run has done no later one loses.
                assert int(state["tile"]) >= kept
                kept = int(state["tile"])
    assert kept > 0
    last = batch(scene, out)
    said = last.communicate()[1]
    assert last.returncode == 0, said
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
