"""How soon commands answer: processor time as a ratio to that of `import torch`.

    python tests/benchmarks/starts.py [--runs 5]

Each command runs in a process of its own, in turn with the import, and the least of its times
counts. Processor time is compared, since other work on the machine does not change it as much.
`segment` is stopped when its first batch of windows reaches the encoder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCENE = Path(__file__).parents[2] / "sample_tiles/coast.tif"
RUN = "from rsclip_cli.main import main; main()"
STOPPED = f"""
import os
from rsclip.methods.segmenter import Segmenter
Segmenter.similarities = lambda *_: os._exit(0)
{RUN}
"""


def seconds(code: str, *arguments: object) -> tuple[float, float]:
    """Run Python code; return its processor time and the time on the clock."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, check=True
    )
    after, ended = os.times(), time.perf_counter()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, ended - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        segment = ("segment", SCENE, "--classes", "water, beach", "--model", "nano", "--preview")
        seconds(RUN, *segment, "-o", folder)
        mask = Path(folder) / "coast_mask.tif"
        cases = {
            "import torch": ("import torch",),
            "rsclip methods": (RUN, "methods"),
            "rsclip classes": (RUN, "classes"),
            "rsclip models list": (RUN, "models", "list"),
            "rsclip models info nano": (RUN, "models", "info", "nano"),
            "rsclip info": (RUN, "info", SCENE),
            "rsclip view": (RUN, "view", folder),
            "rsclip polygonize": (RUN, "polygonize", mask, "-o", f"{folder}/p.gpkg", "--overwrite"),
            "rsclip segment, to the first window": (STOPPED, *segment, "-o", f"{folder}/stopped"),
        }
        found = {name: [] for name in cases}
        for _ in range(runs):
            for name, case in cases.items():
                found[name].append(seconds(*case))
    unit = min(used for used, _ in found["import torch"])
    print("| command | processor time / that of `import torch` | processor time | on the clock |")
    print("|---|---|---|---|")
    for name, times in found.items():
        used, clock = (min(each) for each in zip(*times, strict=True))
        print(f"| `{name}` | {used / unit:.2f} | {used:.2f} s | {clock:.2f} s |")


if __name__ == "__main__":
    main()
