"""How near a dry run comes to the run: `python tests/benchmarks/estimates.py [SCENE ...]`.

Dry run and run of each scene take turns; a machine that does anything else tells nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TILES = Path(__file__).resolve().parents[2] / "sample_tiles"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = [TILES / f"{name}.tif" for name in ("town_river", "coast", "farmland")]
    parser.add_argument("scenes", nargs="*", default=default)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    for scene in [*args.scenes] * args.rounds:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "rsclip", "segment", str(scene), "--model", "nano",
                       "--classes", "water, forest, cropland, road", "-o", folder]  # fmt: skip
            told = subprocess.run(
                [*command, "--dry-run", "--json"], capture_output=True, text=True, check=True
            )
            estimate = json.loads(told.stdout)["total"]["seconds"]
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            taken = time.perf_counter() - start
        print(f"{scene}: {estimate:.1f} s told, {taken:.1f} s taken: {estimate / taken:.2f}")


if __name__ == "__main__":
    main()
