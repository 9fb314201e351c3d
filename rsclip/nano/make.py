"""Make the nano model from nothing: `python -m rsclip.nano.make --real DIR --output DIR`.

First both towers learn from drawn scenes, then the image tower goes on with real imagery beside
them. A run that was cut goes on from what is in the folder for its work.
"""

import argparse
from pathlib import Path

from rsclip.nano import mixed, train
from rsclip.nano.real import find_folder
from rsclip.nano.text_tower import load_teacher


def main() -> None:
    """Parse the command line, see that everything is at hand, and train."""
    parser = argparse.ArgumentParser(description="Make rsclip's nano model.")
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--work", type=Path, required=True, help="folder to go on from")
    given = parser.parse_args()
    real = find_folder(given.real)
    load_teacher()
    drawn = given.work / "drawn"
    if not (drawn / "open_clip_model.safetensors").is_file():
        train.train(train.NanoRun(), drawn)
    mixed.train(mixed.MixedRun(), drawn, real, given.output, given.work / "checkpoints")


if __name__ == "__main__":
    main()
