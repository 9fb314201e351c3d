"""Polygons of a noisy mask: rsclip against rasterio.features.shapes + geopandas, in one run.

    python tests/benchmarks/polygons.py [--side 10000] [--noise 0.005] [--simplify 2]

Each way runs in a process of its own, from the same mask to a GeoPackage with class and area, so
that the peak (ru_maxrss) is its own. --simplify is only for rsclip: there is no like of it.
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

BLOCK = 1000


def make_mask(path: Path, side: int, noise: float) -> None:
    """Write five classes in smooth patches with single pixels of other classes strewn in."""
    rng = np.random.default_rng(1)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint8",
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": 255,
        "crs": "EPSG:32633", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    }  # fmt: skip
    size = side // 8 + 2
    field = rng.normal(size=(size, size)).astype(np.float32)
    for _ in range(12):
        field = sum(np.roll(field, shift, axis) for axis in (0, 1) for shift in (-1, 1)) / 4
    limits = np.quantile(field, [0.2, 0.4, 0.6, 0.8])
    coarse = (np.digitize(field, limits) + 1).astype(np.uint8)
    with rasterio.open(path, "w", **profile) as dataset:
        for top in range(0, side, BLOCK):
            rows = min(BLOCK, side - top)
            fine = coarse[(np.arange(top, top + rows) // 8)][:, np.arange(side) // 8]
            speckle = rng.random(fine.shape) < noise
            fine[speckle] = rng.integers(1, 6, int(speckle.sum()))
            dataset.write(fine, 1, window=Window(0, top, side, rows))


def ours(mask: Path, output: Path, simplify: float | None) -> int:
    import pyogrio

    import rsclip

    rsclip.write_polygons(mask, output, simplify=simplify)
    return int(pyogrio.read_info(output, layer="polygons")["features"])


def theirs(mask: Path, output: Path) -> int:
    import geopandas
    from rasterio.features import shapes

    with rasterio.open(mask) as dataset:
        band = rasterio.band(dataset, 1)
        found = (
            {"type": "Feature", "geometry": outline, "properties": {"class_id": int(value)}}
            for outline, value in shapes(band, mask=None, transform=dataset.transform)
        )
        frame = geopandas.GeoDataFrame.from_features(found, crs=dataset.crs)
    frame["area_m2"] = frame.area
    frame.to_file(output, layer="polygons", driver="GPKG")
    return len(frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10000)
    parser.add_argument("--noise", type=float, default=0.005)
    parser.add_argument("--simplify", type=float)
    parser.add_argument("--way", choices=["mask", "rsclip", "shapes"])
    parser.add_argument("--mask", type=Path)
    options = parser.parse_args()
    if options.way == "mask":
        make_mask(options.mask, options.side, options.noise)
        return
    if options.way:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "polygons.gpkg"
            began = time.perf_counter()
            if options.way == "rsclip":
                count = ours(options.mask, output, options.simplify)
            else:
                count = theirs(options.mask, output)
            seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps({"polygons": count, "seconds": round(seconds, 1), "peak_mb": round(peak)}))
        return
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder) / "mask.tif"
        # The mask too in a process of its own: a child's peak begins with its parent's.
        for way in ("mask", "rsclip", "shapes"):
            command = [sys.executable, __file__, "--way", way, "--mask", str(mask)]
            command += ["--side", str(options.side), "--noise", str(options.noise)]
            if options.simplify is not None:
                command += ["--simplify", str(options.simplify)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            if done.stdout:
                print(f"{way:7}", done.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
