"""How near a whole run on a GPU comes to its encoder alone.

    python tests/benchmarks/device.py [--side 4000] [--device cuda]

A whole run reads, stitches, labels and writes beside the encoder; its windows a second, divided by
those of the encoder alone on windows that lie ready, are 1 where all of that is hidden. ViT-B/16
has random weights.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from engines import LOADERS, WORDS, timed_run, write_scene

from rsclip.config import SegmentConfig
from rsclip.run.encoder import load_model
from rsclip.words.legend import load_legend

CALLS = 8


def windows_a_second(encoder) -> float:
    """Return the encoder's rate on whole batches, similarities on the CPU included."""
    images = np.random.default_rng(0).random((encoder.batch_size, 3, *encoder.window), np.float32)
    encoder.similarities(images)
    start = time.perf_counter()
    for _ in range(CALLS):
        encoder.similarities(images)
    return CALLS * len(images) / (time.perf_counter() - start)


def main() -> None:
    """Print the table, or that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=4000, help="Pixels of the scene's side.")
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no GPU here: nothing is measured.")
        return
    backbone = LOADERS["ViT-B-16"]()
    print("| precision | encoder alone, windows a second | whole run, as a share of that |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        write_scene(scene, args.side)
        for precision in ("fp32", "bf16"):
            config = SegmentConfig(
                templates="simple", device=args.device, precision=precision, overwrite=True
            )
            model = load_model(load_legend(WORDS), config, backbone)
            alone = windows_a_second(model.encoder)
            (_, seconds), _, windows = timed_run(scene, model, config)
            print(f"| {precision} | {alone:.1f} | {windows / seconds / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
