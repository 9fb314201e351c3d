"""Memory of a batch's workers over many scenes: it must not grow with what they have done.

    python tests/benchmarks/soak.py [--scenes 500] [--side 256] [--jobs 2] [--keep DIR]

Scenes are cut from the sample tiles, each with noise of its own. The resident memory of every
worker is read once a second; printed is, for each worker, its median over the second tenth of the
run (after the model is loaded and buffers have grown) and over the last tenth.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import rasterio

TILES = sorted(
    path
    for path in (Path(__file__).resolve().parents[2] / "sample_tiles").glob("*.tif")
    if not path.stem.endswith("_labels")
)


def make_scenes(folder: Path, count: int, side: int) -> None:
    """Write scenes of `side` pixels: places of the sample tiles with noise."""
    rng = np.random.default_rng(0)
    for number in range(count):
        with rasterio.open(TILES[number % len(TILES)]) as tile:
            row, col = (int(rng.integers(0, size - side + 1)) for size in tile.shape)
            window = rasterio.windows.Window(col, row, side, side)
            pixels, transform = tile.read(window=window), tile.window_transform(window)
            profile = tile.profile | {"width": side, "height": side, "transform": transform}
        noise = rng.integers(0, 4, pixels.shape, dtype=pixels.dtype)
        limit = np.iinfo(pixels.dtype).max - 4
        with rasterio.open(folder / f"scene_{number:04d}.tif", "w", **profile) as scene:
            scene.write(np.minimum(pixels, limit) + noise)


def resident(process: psutil.Process) -> dict[int, float]:
    """Return MiB by process number: the children that hold a model."""
    found = {}
    for child in process.children(recursive=True):
        try:
            memory = child.memory_info().rss / 2**20
        except psutil.Error:
            continue
        # The resource tracker and helpers of multiprocessing hold next to nothing.
        if memory > 150:
            found[child.pid] = memory
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="Folder for scenes and outputs.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        (folder / "scenes").mkdir(parents=True, exist_ok=True)
        make_scenes(folder / "scenes", given.scenes, given.side)
        command = [sys.executable, "-m", "rsclip", "batch", folder / "scenes", "-o", folder / "out"]
        command += ["--classes", "building, road, water, tree, grass", "--model", "nano"]
        command += ["--jobs", given.jobs, "--quiet"]
        began = time.monotonic()
        batch = psutil.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        readings: list[tuple[float, dict[int, float]]] = []
        while batch.poll() is None:
            readings.append((time.monotonic() - began, resident(batch)))
            time.sleep(1)
        lasted = time.monotonic() - began
        masks = len(list((folder / "out").rglob("*_mask.tif")))
    print(f"{masks} of {given.scenes} scenes in {lasted:.0f} s, exit {batch.returncode}")
    for worker in sorted({pid for _, each in readings for pid in each}):
        early, late = (
            np.median(
                [
                    each[worker]
                    for at, each in readings
                    if worker in each and low <= at / lasted < high
                ]
            )
            for low, high in ((0.1, 0.2), (0.9, 1.0))
        )
        print(
            f"worker {worker}: {early:.0f} MiB early, {late:.0f} MiB late: {late / early - 1:+.1%}"
        )


if __name__ == "__main__":
    main()
