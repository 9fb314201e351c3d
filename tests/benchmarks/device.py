"""How near a whole run on a GPU comes to its encoder alone.

    python tests/benchmarks/device.py [--side 4000] [--device cuda] [--simulate 50 100 200 400]

A whole run reads, stitches, labels and writes beside the encoder; its windows a second, divided by
those of the encoder alone on windows that lie ready, are 1 where all of that is hidden. ViT-B/16
has random weights. `--simulate` needs no GPU: an encoder that gives so many windows a second and
takes no processor's time tells which GPUs the rest of a run keeps up with.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from engines import LOADERS, TILE, WORDS, timed_run
from reference_loop import mirrored

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


class Simulated:
    """Waits as long as a GPU would take, and finds classes by brightness.

    Args:
        real: The encoder whose windows and queries it has.
        rate: Windows a second.
    """

    def __init__(self, real, rate: float) -> None:
        self.patch, self.window, self.queries = real.patch, real.window, real.queries
        self.batch_size = 64
        self._rate = rate

    def similarities(self, images: np.ndarray) -> np.ndarray:
        """Return similarities (B, Q, h, w) of images (B, 3, H, W)."""
        began = time.perf_counter()
        count, _, height, width = images.shape
        rows, cols = height // self.patch, width // self.patch
        blocks = images[:, 0].reshape(count, rows, self.patch, cols, self.patch)
        bright = blocks.mean((2, 4))[:, None]
        middles = np.linspace(0, 1, self.queries, dtype=np.float32)[:, None, None]
        found = 0.2 - 0.05 * np.abs(bright - middles)
        time.sleep(max(count / self._rate - (time.perf_counter() - began), 0))
        return found


def main() -> None:
    """Print the table, or that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=4000, help="Pixels of the scene's side.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--simulate", type=float, nargs="+", default=[], metavar="RATE", help="Windows a second."
    )
    args = parser.parse_args()
    if not args.simulate and args.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no GPU here: nothing is measured (--simulate needs none).")
        return
    backbone = LOADERS["ViT-B-16"]()
    print("| encoder | alone, windows a second | whole run, as a share of that |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "scene.tif"
        mirrored(TILE, args.side, scene)
        for what in args.simulate or ("fp32", "bf16"):
            config = SegmentConfig(
                templates="simple", device="cpu" if args.simulate else args.device,
                precision="fp32" if args.simulate else what, overwrite=True,
            )  # fmt: skip
            model = load_model(load_legend(WORDS), config, backbone)
            if args.simulate:
                model = dataclasses.replace(model, encoder=Simulated(model.encoder, what))
            alone = windows_a_second(model.encoder)
            (_, seconds), _, windows = timed_run(scene, model, config)
            name = "simulated" if args.simulate else what
            print(f"| {name} | {alone:.1f} | {windows / seconds / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
