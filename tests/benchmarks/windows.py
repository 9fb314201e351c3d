"""Score and time against the size and the overlap of windows, on real imagery and sample tiles.

    python tests/benchmarks/windows.py --real DIR [--model nano] [--write docs/performance.md]

Windows of 1, 1.5 and 2 times the model's own, overlaps of 0, 0.25 and 0.5, scored as options.py
does. Times are the processor time of the encoder's calls, as a ratio to the default setting; all
settings take turns on each set, so that a busy machine slows all alike. `--write` puts the table
between the markers of a Markdown file.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from options import SHORT, of_set, of_tiles
from real import write

import rsclip
from rsclip.methods.segmenter import Segmenter
from rsclip.nano.real import SETS, find_folder, images

BEGIN, END = "<!-- windows: begin -->", "<!-- windows: end -->"
SIZES, OVERLAPS = (1.0, 1.5, 2.0), (0.0, 0.25, 0.5)
DEFAULT = (1.0, 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    root = find_folder(args.real)
    model = rsclip.load_model(args.model)
    side, patch = model.image_shape[0], model.patch
    spent = clocked()
    settings = [(size, overlap) for size in SIZES for overlap in OVERLAPS]
    scores, times = {each: {} for each in settings}, dict.fromkeys(settings, 0.0)
    held_out = {of: list(images(root, of, validation=True)) for of in SETS if of.labels}
    for of, chosen in [*((of, chosen) for of, chosen in held_out.items() if chosen), (None, ())]:
        name = SHORT[of.name] if of else "tiles"
        for size, overlap in settings:
            how = {"window": round(size * side / patch) * patch, "overlap": overlap}
            before = spent[0]
            found = of_set(of, chosen, args.model, how) if of else of_tiles(args.model, how)
            scores[size, overlap][name] = found
            times[size, overlap] += spent[0] - before
            print(name, size, overlap, found, round(spent[0] - before, 1), flush=True)
    lines = table(scores, times)
    print("\n".join(lines))
    if args.write:
        command = f"python tests/benchmarks/windows.py --real DIR --model {args.model}"
        said = f"Made by `{command} --write docs/performance.md`."
        write(args.write, ["", *lines, "", said, ""], BEGIN, END)


def table(scores, times):
    """Return the lines of a table, a row for each setting."""
    names = list(scores[DEFAULT])
    lines = [
        f"| window | overlap | time | {' | '.join(names)} | mean |",
        f"|---|---|---|{'---|' * (len(names) + 1)}",
    ]
    for (size, overlap), found in scores.items():
        row = [found[name] for name in names]
        cells = " | ".join(f"{100 * value:.1f}" for value in [*row, np.mean(row)])
        ratio = times[size, overlap] / times[DEFAULT]
        lines.append(f"| {size:g} x | {overlap:g} | {ratio:.2f} | {cells} |")
    return lines


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
