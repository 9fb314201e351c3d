"""What `rsclip adapt` costs: time and peak memory with 50 labelled squares, by size of the scene.

    python tests/benchmarks/adapt_cost.py [--sides 2000 8000]

The scene is a sample tile, laid side by side; the squares of 8 m lie anywhere inside its classes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
import yaml

ROOT = Path(__file__).resolve().parents[2]
TILE = ROOT / "sample_tiles/town_river.tif"
CLASSES = ROOT / "sample_tiles/classes.yaml"
SQUARES, SIDE = 50, 16


def lay_tiles(path, side):
    """Write a scene of `side` x `side` pixels; return a tile's truth, transform and CRS."""
    with rasterio.open(TILE) as dataset:
        profile, tile = dataset.profile, dataset.read()
    with rasterio.open(TILE.with_name("town_river_labels.tif")) as dataset:
        truth = dataset.read(1)
    profile |= {"height": side, "width": side, "tiled": True, "compress": "deflate"}
    repeats = [-(-side // size) for size in truth.shape]
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.tile(tile, (1, *repeats))[:, :side, :side])
        return truth, dataset.transform, dataset.crs


def make(folder, side):
    """Write a scene of `side` x `side` pixels and its labels."""
    truth, transform, crs = lay_tiles(folder / "scene.tif", side)
    names = [each["name"] for each in yaml.safe_load(CLASSES.read_text())["classes"]]
    rng = np.random.default_rng(0)
    rows = []
    while len(rows) < SQUARES:
        row, col = rng.integers(0, side // SIDE, 2) * SIDE
        inside = truth[np.ix_(*((at + np.arange(SIDE)) % size for at, size in
                                zip((row, col), truth.shape, strict=True)))]  # fmt: skip
        value = int(inside[0, 0])
        if (inside != value).any() or not 0 < value <= len(names):
            continue
        corners = [(col, row), (col + SIDE, row), (col + SIDE, row + SIDE), (col, row + SIDE)]
        rows.append((names[value - 1], shapely.Polygon([transform @ each for each in corners])))
    classes, shapes = zip(*rows, strict=True)
    frame = geopandas.GeoDataFrame({"class": classes}, geometry=list(shapes), crs=crs)
    frame.to_file(folder / "few.gpkg")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[2000, 8000])
    for side in parser.parse_args().sides:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder, side)
            began = time.perf_counter()
            command = [
                sys.executable, "-m", "rsclip", "adapt", folder / "scene.tif", "--labels",
                folder / "few.gpkg", "--classes", CLASSES, "-o", folder / "x.adapter", "--quiet",
            ]  # fmt: skip
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            assert status == 0
            print(
                f"{side} x {side}: {time.perf_counter() - began:.0f} s, processor "
                f"{used.ru_utime + used.ru_stime:.0f} s, peak {used.ru_maxrss / 1024:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
