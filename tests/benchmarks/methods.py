"""Time of each method, and of several at once, against ClearCLIP: ratios on random weights.

    python tests/benchmarks/methods.py [--arch ViT-B-16] [--size 224] [--batch 4] [--rounds 5]

Weights do not change the time. The methods take turns, round after round, so that whatever else the
machine does falls on all of them; of each, the fastest round counts, on a CPU in processor time.
Similarities of 20 queries are part of the time.
"""

import argparse
import json
import time

import numpy as np

import rsclip
from rsclip.methods import METHODS
from rsclip.methods.segmenter import Segmenter
from rsclip.model.open_clip_import import import_open_clip

# As `rsclip compare` runs them.
TOGETHER = (("clearclip", "sclip", "scclip"), tuple(METHODS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="ViT-B-16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    args = parser.parse_args()
    backbone = rsclip.wrap(import_open_clip().create_model(args.arch, pretrained=None))
    rng = np.random.default_rng(0)
    text = rng.standard_normal((20, backbone.dim)).astype(np.float32)
    images = rng.uniform(0, 1, (args.batch, 3, args.size, args.size)).astype(np.float32)
    segmenters = {
        name: Segmenter(
            backbone, text, method=name, device=args.device, precision=args.precision,
            batch_size=args.batch,
        )
        for name in METHODS
    }  # fmt: skip
    for first, *others in TOGETHER:
        segmenters["+".join([first, *others])] = Segmenter(
            backbone, text, method=first, device=args.device, precision=args.precision,
            batch_size=args.batch, others=[(name, None) for name in others],
        )  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in segmenters}
    on_cpu = segmenters["clearclip"].device.type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    for number in range(args.rounds + 1):
        for name, segmenter in segmenters.items():
            began = clock()
            segmenter.similarities(images)
            # The first round warms up.
            if number:
                seconds[name].append(clock() - began)
    fastest = {name: min(times) for name, times in seconds.items()}
    base = fastest["clearclip"]
    print(json.dumps({**vars(args), "clearclip_seconds_per_window": round(base / args.batch, 4)}))
    for name, value in fastest.items():
        print(f"{name:<30} {value / base:.2f}")


if __name__ == "__main__":
    main()
