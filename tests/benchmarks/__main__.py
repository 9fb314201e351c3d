"""All benchmarks, one after another: `python -m tests.benchmarks [--real DIR] [--only WORD]`.

Those that can put their tables into the pages of docs/; the others print theirs. Together they take
some hours; ratios are what to compare between machines.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL, ACCURACY, PERFORMANCE = ["--real", "{real}"], "docs/accuracy.md", "docs/performance.md"
ARGUMENTS = {
    "methods": ["--device", "cpu"],
    "memory": ["--sides", "4000", "12000", "40000"],
    "reference_loop": ["--write", PERFORMANCE],
    "speed": ["--write", "README.md"],
    "windows": [*REAL, "--write", PERFORMANCE],
    "real": [*REAL, "--write", ACCURACY],
    "options": [*REAL, "--write", ACCURACY],
    "adapt": REAL,
    "distill": [*REAL, "--work", "build/distill", "--write", "docs/models.md"],
}
"""Script -> its arguments; {real} is the folder of real imagery. Others need none."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    real = os.environ.get("RSCLIP_REAL_IMAGERY")
    parser.add_argument("--real", default=real, help="folder of real imagery, for what needs one")
    parser.add_argument("--only", default="", help="scripts that have this in their name")
    args = parser.parse_args()
    failed = []
    for name in sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py")):
        words = ARGUMENTS.get(name, [])
        if args.only not in name:
            continue
        if "{real}" in words and not args.real:
            print(f"{name}: left out, without a folder of real imagery (--real)", flush=True)
            continue
        command = [f"tests/benchmarks/{name}.py", *(each.format(real=args.real) for each in words)]
        print("python", *command, flush=True)
        if subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"these failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
