"""Whole runs with PyTorch and with ONNX Runtime, as a ratio, and how many labels are equal.

    python tests/benchmarks/engines.py [--runs 3] [--side 448]

The engines take turns on the same scene, in one process, and the least of each one's times
counts; reading the graph is part of them, building it is not. ViT-B/16 has seeded random weights:
its times are real, its labels are not.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

import rsclip
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip

SCENE = Path(__file__).parents[2] / "sample_tiles/coast.tif"
ENGINES = ("torch", "onnx")


def models():
    """Yield name and backbone."""
    yield "nano", load_backbone("nano")
    torch.manual_seed(0)
    yield "ViT-B/16, random weights", rsclip.wrap(import_open_clip().create_model("ViT-B-16"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", type=int, default=448, help="Pixels of the scene's side.")
    args = parser.parse_args()
    print("| model | processor time | on the clock | equal labels |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        with rasterio.open(SCENE) as whole:
            part = Window(0, 0, args.side, args.side)
            profile = {**whole.profile, "width": args.side, "height": args.side}
            with rasterio.open(scene, "w", **profile) as file:
                file.write(whole.read(window=part))
        for name, backbone in models():
            used = {engine: [] for engine in ENGINES}
            labels = {}
            # The first run of each builds its graph and encodes the words.
            for index in range(args.runs + 1):
                for engine in ENGINES:
                    began = time.process_time(), time.perf_counter()
                    result = rsclip.segment(
                        scene, "water, beach, building, road, forest", folder, model=backbone,
                        templates="simple", engine=engine, device="cpu", overwrite=True,
                    )  # fmt: skip
                    ended = time.process_time(), time.perf_counter()
                    labels[engine] = result.mask()
                    if index:
                        used[engine].append(np.subtract(ended, began))
            least = {engine: np.min(times, axis=0) for engine, times in used.items()}
            cpu, clock = least["torch"] / least["onnx"]
            equal = (labels["torch"] == labels["onnx"]).mean()
            print(f"| {name} | {cpu:.2f} | {clock:.2f} | {equal:.3%} |", flush=True)


if __name__ == "__main__":
    main()
