"""Score and time against the size and the overlap of windows, on real imagery.

    python tests/benchmarks/windows.py --real DIR [--model nano]

Windows of 1, 1.5 and 2 times the model's own, overlaps of 0, 0.25 and 0.5. The score of a set is
the mean IoU of real.py. Times are the processor time of the encoder's calls, as a ratio to the
default setting; all settings take turns on each set, so that a busy machine slows all alike.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import rsclip
from rsclip.config import build_config
from rsclip.methods.segmenter import Segmenter
from rsclip.nano.real import SETS, find_folder, images
from rsclip.nano.real_scores import evaluate_set, score

SIZES, OVERLAPS = (1.0, 1.5, 2.0), (0.0, 0.25, 0.5)
DEFAULT = (1.0, 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", default="nano")
    args = parser.parse_args()
    root = find_folder(args.real)
    model = rsclip.load_model(args.model)
    side, patch = model.image_shape[0], model.patch
    spent = clocked()
    settings = [(size, overlap) for size in SIZES for overlap in OVERLAPS]
    scores, times = {each: {} for each in settings}, dict.fromkeys(settings, 0.0)
    for of in SETS:
        chosen = list(images(root, of, validation=True)) if of.labels else []
        for size, overlap in settings if chosen else ():
            window = round(size * side / patch) * patch
            before = spent[0]
            config = build_config({"window": window, "overlap": overlap})
            found = score(of, evaluate_set(of, chosen, args.model, config=config))
            scores[size, overlap][of.name] = found["miou"]
            times[size, overlap] += spent[0] - before
            print(of.name, size, overlap, found["miou"], round(spent[0] - before, 1), flush=True)
    names = list(scores[DEFAULT])
    lines = [
        f"| window | overlap | time | {' | '.join(names)} | mean |",
        f"|---|---|---|{'---|' * (len(names) + 1)}",
    ]
    for size, overlap in settings:
        row = [scores[size, overlap][name] for name in names]
        cells = " | ".join(f"{100 * value:.1f}" for value in [*row, np.mean(row)])
        ratio = times[size, overlap] / times[DEFAULT]
        lines.append(f"| {size:g} x | {overlap:g} | {ratio:.2f} | {cells} |")
    print("\n".join(lines))


def clocked():
    """Let the encoder count its processor time; return where it does."""
    spent, encode = [0.0], Segmenter.similarities

    def similarities(self, images):
        began = time.process_time()
        found = encode(self, images)
        spent[0] += time.process_time() - began
        return found

    Segmenter.similarities = similarities
    return spent


if __name__ == "__main__":
    main()
