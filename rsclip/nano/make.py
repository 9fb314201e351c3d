"""Make the nano model from nothing: `python -m rsclip.nano.make --real DIR --output DIR`.

First both towers learn from drawn scenes, then the image tower goes on with real imagery beside
them, at last also with its own sure labels of images without truth. A run that was cut goes on from
what is in the folder for its work.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from rsclip.nano import mixed, train
from rsclip.nano.real import parse_with_folder
from rsclip.nano.text_tower import load_teacher

OWN_LABELS = mixed.MixedRun(
    steps=2_500, drawn=15, masks=7, chips=2, rate=1.2e-4, varied=0.4, own_labels=True
)


def make(
    real: Path,
    output: Path,
    work: Path,
    drawn: train.NanoRun,
    runs: Sequence[mixed.MixedRun] = (mixed.MixedRun(), OWN_LABELS),
) -> None:
    """Train all stages, or go on where `work` tells that they were cut."""
    load_teacher()
    start = work / "drawn"
    if not (start / "open_clip_model.safetensors").is_file():
        train.train(drawn, start)
    for number, run in enumerate(runs, 1):
        folder = work / f"mixed {number}"
        mixed.train(run, start, real, folder / "model", folder)
        start = folder / "model"
    shutil.copytree(start, output, dirs_exist_ok=True)


def main() -> None:
    """Parse the command line, see that everything is at hand, and train."""
    parser = argparse.ArgumentParser(description="Make rsclip's nano model.")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--work", type=Path, required=True, help="folder to go on from")
    given = parse_with_folder(parser)
    make(given.real, given.output, given.work, train.NanoRun())


if __name__ == "__main__":
    main()
