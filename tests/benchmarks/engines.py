"""Whole runs with PyTorch and with ONNX Runtime, as a ratio, and how many labels are equal.

    python tests/benchmarks/engines.py [--runs 2] [--sides 800 2000] [--models nano ViT-B-16]

The engines take turns on the same scene, in one process; the least of each one's times counts. Each
keeps its model over all runs, as a batch does: building and opening the graph are no part of the
times. ViT-B/16 has seeded random weights: its times are real, its labels are not.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch

import rsclip
from rsclip.config import SegmentConfig
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip
from rsclip.run.encoder import load_model
from rsclip.run.segment import segment_scenes
from rsclip.words.legend import load_legend

TILE = Path(__file__).parents[2] / "sample_tiles/coast.tif"
ENGINES = ("torch", "onnx", "onnx-int8")
WORDS = "water, beach, building, road, forest"
LOADERS = {
    "nano": lambda: load_backbone("nano"),
    "ViT-B-16": lambda: rsclip.wrap(import_open_clip().create_model("ViT-B-16")),
}


def write_scene(path: Path, side: int) -> None:
    """Write a sample tile as a scene of that many pixels a side, mirrored at its borders."""
    with rasterio.open(TILE) as tile:
        rows, cols = tile.shape
        pad = ((0, 0), (0, max(side - rows, 0)), (0, max(side - cols, 0)))
        pixels = np.pad(tile.read(), pad, mode="symmetric")[:, :side, :side]
        with rasterio.open(path, "w", **{**tile.profile, "width": side, "height": side}) as file:
            file.write(pixels)


def timed_run(scene: Path, model, config: SegmentConfig):
    """Segment a scene; return its times, labels and windows.

    The times are (processor time, time on the clock) in seconds.
    """
    began = time.process_time(), time.perf_counter()
    (result,) = segment_scenes(
        [scene], WORDS, scene.parent, config=config, model_loader=lambda *_: model
    )
    ended = time.process_time(), time.perf_counter()
    windows = result.run["windows"]
    return np.subtract(ended, began), result.mask(), windows["total"] - windows["skipped"]


def compare(name: str, sides: list[int], runs: int, folder: Path) -> None:
    """Print a model's lines of the table."""
    torch.manual_seed(0)
    backbone = LOADERS[name]()
    config = SegmentConfig(templates="simple", device="cpu", overwrite=True)
    models = {
        engine: load_model(load_legend(WORDS), config.replace(engine=engine), backbone)
        for engine in ENGINES
    }
    window = np.zeros((1, 3, *backbone.image_shape), np.float32)
    for each in models.values():
        each.encoder.similarities(window)
    for side in sides:
        scene = folder / f"{name}-{side}.tif"
        write_scene(scene, side)
        least, labels = {}, {}
        for engine in [*ENGINES] * runs:
            used, labels[engine], _ = timed_run(scene, models[engine], config)
            least[engine] = np.minimum(used, least.get(engine, np.inf))
        for engine in ENGINES[1:]:
            cpu, clock = least["torch"] / least[engine]
            equal = (labels["torch"] == labels[engine]).mean()
            print(
                f"| {name} | {side} x {side} | {engine} | {cpu:.2f} | {clock:.2f} | {equal:.2%} |",
                flush=True,
            )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="+", default=[800, 2000])
    parser.add_argument("--models", nargs="+", choices=LOADERS, default=list(LOADERS))
    args = parser.parse_args()
    print("| model | scene | engine | processor time | on the clock | equal labels |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            compare(name, args.sides, args.runs, Path(folder))


if __name__ == "__main__":
    main()
