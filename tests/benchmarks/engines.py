"""Whole runs with PyTorch and with ONNX Runtime, as a ratio, and how many labels are equal.

    python tests/benchmarks/engines.py [--runs 2] [--sides 800 2000] [--models nano ViT-B-16]

The engines take turns on the same scene, in one process; the least of each one's times counts. The
encoder alone comes first, with batches that lie ready. Each engine keeps its model over all runs,
as a batch does: building and opening the graph are no part of the times. ViT-B/16 has seeded random
weights: its times are real, its labels are not.
"""

import argparse
import functools
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from reference_loop import mirrored

import rsclip
from rsclip.config import SegmentConfig
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip
from rsclip.run.encoder import load_model
from rsclip.run.segment import segment_scenes
from rsclip.words.legend import load_legend

TILE = Path(__file__).parents[2] / "sample_tiles/coast.tif"
ENGINES = ("torch", "onnx", "onnx-int8")
ACROSS = 7
WORDS = "water, beach, building, road, forest"
LOADERS = {
    "nano": lambda: load_backbone("nano"),
    "ViT-B-16": lambda: rsclip.wrap(import_open_clip().create_model("ViT-B-16")),
}


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


def timed_windows(encoder):
    """Encode windows that lie ready; return times of one, and the class of each patch."""
    side = encoder.window[0]
    pixels = mirrored(TILE, ACROSS * side, None)[:3].astype(np.float32) / 255
    cut = pixels.reshape(3, ACROSS, side, ACROSS, side).transpose(1, 3, 0, 2, 4)
    images = cut.reshape(-1, 3, side, side)
    began = time.process_time(), time.perf_counter()
    similarities = encoder.similarities(images)
    ended = time.process_time(), time.perf_counter()
    return np.subtract(ended, began) / len(images), similarities.argmax(1)


def compare(name: str, sides: list[int], runs: int, folder: Path) -> None:
    """Print a model's lines of the table."""
    torch.manual_seed(0)
    backbone = LOADERS[name]()
    config = SegmentConfig(templates="simple", device="cpu", overwrite=True)
    models = {
        engine: load_model(load_legend(WORDS), config.replace(engine=engine), backbone)
        for engine in ENGINES
    }
    for each in models.values():
        timed_windows(each.encoder)
    in_turn(name, "encoder alone", runs, lambda engine: timed_windows(models[engine].encoder))
    for side in sides:
        scene = folder / f"{name}-{side}.tif"
        mirrored(TILE, side, scene)
        run = functools.partial(timed_run, scene, config=config)
        in_turn(name, f"{side} x {side}", runs, lambda engine: run(models[engine])[:2])  # noqa: B023


def in_turn(name: str, what: str, runs: int, timed) -> None:
    """Print the lines of what gives times and labels for an engine."""
    least, labels = {}, {}
    for engine in [*ENGINES] * runs:
        used, labels[engine] = timed(engine)
        least[engine] = np.minimum(used, least.get(engine, np.inf))
    for engine in ENGINES[1:]:
        cpu, clock = least["torch"] / least[engine]
        equal = (labels["torch"] == labels[engine]).mean()
        print(f"| {name} | {what} | {engine} | {cpu:.2f} | {clock:.2f} | {equal:.2%} |", flush=True)


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
