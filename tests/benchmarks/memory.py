"""Peak memory and time against the scene's size, with a stub encoder: promise 1 of the design.

    python tests/benchmarks/memory.py [--sides 4000 40000] [--classes 20] [--keep DIR]
        [--polygons]

Each size runs in a process of its own on a striped-free, tiled uint8 RGB scene that is written once
(sparse blocks of noise), so that the peak (ru_maxrss) is the run's own. The stub encoder gives
smooth similarities at once: what is measured is everything around the model. Polygons are left out
unless asked for: they need the largest of them in memory, and here one spans the scene.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

PATCH, SIDE = 16, 224


class StubEncoder:
    """Cosines from the chip's own block means: cheap, deterministic, different per class."""

    patch = PATCH
    window = (SIDE, SIDE)
    batch_size = 8

    def __init__(self, queries: int) -> None:
        self.queries = queries
        self._mix = np.random.default_rng(0).normal(size=(queries, 3)).astype(np.float32)

    def similarities(self, images: np.ndarray) -> np.ndarray:
        count, _, height, width = images.shape
        cells = images.reshape(count, 3, height // PATCH, PATCH, width // PATCH, PATCH)
        return np.einsum("qc,bchw->bqhw", self._mix, cells[:, :, :, 0, :, 0], optimize=True)


def make_scene(path: Path, side: int) -> None:
    rng = np.random.default_rng(side)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1,
        "photometric": "rgb", "interleave": "pixel", "bigtiff": "if_safer", "nodata": 0,
        "crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    }  # fmt: skip
    # Blocks of flat colour with some noise: compresses well, decodes like imagery.
    block = np.kron(rng.integers(1, 255, (3, 16, 16)), np.ones((1, 32, 32))).astype(np.uint8)
    with rasterio.Env(GDAL_CACHEMAX=64 * 2**20), rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, side, 512):
            for col in range(0, side, 512):
                height, width = min(512, side - row), min(512, side - col)
                shifted = np.roll(block, (row // 7, col // 11), (1, 2))[:, :height, :width]
                dataset.write(shifted, window=Window(col, row, width, height))


def run_one(scene: str, classes: int, out: str, polygons: bool) -> None:
    from rsclip.config import build_config
    from rsclip.run.segment import Model, segment_scenes
    from rsclip.words.legend import load_legend
    from rsclip.words.prompts import Query

    names = [f"class {chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(classes)]
    queries = [Query(name, (name,), index) for index, name in enumerate(names)]
    model = Model(StubEncoder(classes), queries, {"name": "stub"})
    began = time.perf_counter()
    start_cpu = time.process_time()
    (result,) = segment_scenes(
        [scene], load_legend(names), out, model_loader=lambda legend, config: model,
        config=build_config({"vector_format": "gpkg" if polygons else "none"}),
    )  # fmt: skip
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss / 1024
    # Wall time depends on what else the machine does; processor time hardly.
    cpu = usage.ru_utime + usage.ru_stime - start_cpu
    print(json.dumps({
        "peak_mb": round(peak, 1), "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(cpu, 1),
        "windows": result.run["windows"]["total"], "stages": result.run["seconds"],
    }))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[4000, 40000])
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--polygons", action="store_true")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        # torch is part of every real run: its memory belongs to the base of the comparison.
        import torch  # noqa: F401

        run_one(args.run[0], int(args.run[1]), args.run[2], args.polygons)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for side in args.sides:
            scene = folder / f"scene_{side}.tif"
            if not scene.exists():
                make_scene(scene, side)
            command = [sys.executable, __file__, *(["--polygons"] if args.polygons else [])]
            command += ["--run", str(scene), str(args.classes), tempfile.mkdtemp(dir=temporary)]
            done = subprocess.run(
                command,
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            row = {"side": side, **json.loads(done.stdout.splitlines()[-1])}
            row["cpu_us_per_pixel"] = round(1e6 * row["cpu_seconds"] / side**2, 4)
            rows.append(row)
            print(json.dumps(row), flush=True)
        first, last = rows[0], rows[-1]
        print(f"peak memory, last against first: {last['peak_mb'] / first['peak_mb']:.3f}")
        ratio = last["cpu_us_per_pixel"] / first["cpu_us_per_pixel"]
        print(f"processor time per pixel, last against first: {ratio:.3f}")


if __name__ == "__main__":
    main()
