"""One scene by one process of two threads, and by two processes of one (`--jobs 2`), in turns.

    python tests/benchmarks/one_scene.py [--side 2000] [--model nano] [--rounds 3]

The scene is a sample tile laid side by side, mirrored. Prints time on the clock and processor time
of whole commands, the ratio of each round, and the share of pixels with another label.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

TILE = Path(__file__).resolve().parents[2] / "sample_tiles/town_river.tif"
CLASSES = "building, road, water, trees, grass"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        laid_side_by_side(folder / "scene.tif", args.side)
        ratios = []
        for number in range(args.rounds):
            alone = timed(folder, "alone", args.model, "2")
            shared = timed(folder, "shared", args.model, None, "--jobs", "2")
            ratios.append(shared[0] / alone[0])
            print(f"round {number + 1}: one process {alone[0]:.1f} s ({alone[1]:.1f} s of "
                  f"processors), --jobs 2 {shared[0]:.1f} s ({shared[1]:.1f} s), ratio "
                  f"{ratios[-1]:.2f}", flush=True)  # fmt: skip
        masks = []
        for kind in ("alone", "shared"):
            with rasterio.open(folder / kind / "scene_mask.tif") as dataset:
                masks.append(dataset.read(1))
        print(f"ratio {statistics.median(ratios):.2f} (median), "
              f"{(masks[0] != masks[1]).mean():.4%} of the pixels differ")  # fmt: skip


def laid_side_by_side(path, side):
    """Write a scene of a sample tile and its mirror images."""
    with rasterio.open(TILE) as tile:
        pixels, profile = tile.read(), tile.profile
    pixels = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    pixels = np.concatenate([pixels, pixels[:, :, ::-1]], axis=2)
    times = (1, *(-(-side // size) for size in pixels.shape[1:]))
    profile |= {"height": side, "width": side, "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", **profile) as scene:
        scene.write(np.tile(pixels, times)[:, :side, :side])


def timed(folder, name, model, threads, *options):
    """Run `rsclip segment`; return seconds on the clock and of processors, of all its processes."""
    environment = {key: value for key, value in os.environ.items() if "NUM_THREADS" not in key}
    if threads:
        environment["OMP_NUM_THREADS"] = threads
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "rsclip", "segment", folder / "scene.tif", "--classes", CLASSES,
         "--model", model, "--vector-format", "none", "--overwrite", "--quiet", *options, "-o",
         folder / name],
        env=environment, check=True,
    )  # fmt: skip
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
