"""Time and peak memory of whole runs of `rsclip segment`, by size of the scene.

    python tests/benchmarks/speed.py [--sides 1000 2000] [--write README.md]

The scene is a sample tile, laid side by side, with its 14 classes, the embedded model and default
settings: mask, polygons and all. Each size runs in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from adapt_cost import CLASSES, lay_tiles
from real import write

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def measure(side: int) -> str:
    """Return the line of the table for a scene of `side` x `side` pixels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_tiles(folder / "scene.tif", side)
        command = [
            sys.executable, "-m", "rsclip", "segment", folder / "scene.tif", "--classes", CLASSES,
            "-o", folder / "out", "--quiet",
        ]  # fmt: skip
        began = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0
    clock, busy = time.perf_counter() - began, used.ru_utime + used.ru_stime
    return (
        f"| {side:,} x {side:,} | {clock:.0f} s | {busy:.0f} s | {used.ru_maxrss / 1024:.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    lines = ["| scene | on the clock | processor time | peak memory |", "|---|---|---|---|"]
    for side in args.sides:
        lines.append(measure(side))
        print(lines[-1], flush=True)
    said = "Made by `python tests/benchmarks/speed.py --write README.md`."
    if args.write:
        write(args.write, ["", *lines, "", said, ""], BEGIN, END)


if __name__ == "__main__":
    main()
