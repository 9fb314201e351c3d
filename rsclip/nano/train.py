"""Train the nano model on drawn scenes: `python -m rsclip.nano.train --output DIR [--steps N]`.

Everything is drawn from one seed; two runs on one machine write the same bytes.
"""

import argparse
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from rsclip.nano.data import Pool
from rsclip.nano.export import export
from rsclip.nano.image_tower import ImageTraining, train_image
from rsclip.nano.model import NanoShape, build
from rsclip.nano.text_tower import load_teacher, make_targets, train_text
from rsclip.nano.words import load_vocabulary

THREADS = 1  # sums are split by thread: another count gives other last digits
SIZE_LIMIT = 24_000_000


@dataclass(frozen=True)
class NanoRun:
    """Settings of a whole run."""

    steps: int = 8_500
    text_steps: int = 1_500
    scenes: int = 1_000
    variety: float = 0.3
    token_words: int = 10_000
    seed: int = 1


def train(run: NanoRun, output: Path, checkpoints: Path | None = None) -> None:
    """Train both towers and write the model's three files to `output`.

    Progress is printed as JSON lines, with the wall and processor seconds of this process (the
    scenes are drawn in another). A folder for `checkpoints` receives the unfinished model at
    times.
    """
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    shape, vocabulary = NanoShape(), load_vocabulary(more=True)
    wall, cpu = time.perf_counter(), time.process_time()

    def note(values: Mapping[str, float]) -> None:
        times = {
            "wall_s": round(time.perf_counter() - wall, 1),
            "cpu_s": round(time.process_time() - cpu, 1),
        }
        print(json.dumps({**values, **times}), flush=True)

    def save(step: int) -> None:
        if checkpoints:
            export(model, shape, vocabulary, checkpoints / f"step-{step:05}")

    # The scenes are drawn on one core while the other is at the words.
    with ThreadPoolExecutor(1) as aside:
        scenes = aside.submit(Pool.generate, run.scenes, variety=run.variety, more=True)
        targets = make_targets(
            load_teacher(), vocabulary, shape.embed_dim, run.token_words, run.seed
        )
        note({"phrases": len(targets.phrases)})
        model = build(shape, run.seed)
        cosine = train_text(model, targets, vocabulary, run.text_steps, run.seed)
        note({"text_cosine": round(cosine, 4)})
        pool = scenes.result()
    note({"scenes": run.scenes})
    settings = ImageTraining(steps=run.steps)
    train_image(model, shape, pool, vocabulary, settings, run.seed, save=save, log=note)
    size = export(model, shape, vocabulary, output)
    note({"bytes": size})
    if size > SIZE_LIMIT:
        raise SystemExit(f"the model takes {size} bytes, more than {SIZE_LIMIT}")


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train rsclip's nano model from synthetic scenes.")
    defaults = NanoRun()
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--checkpoints", type=Path, help="folder for unfinished models")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="image training steps")
    parser.add_argument("--text-steps", type=int, default=defaults.text_steps)
    parser.add_argument("--scenes", type=int, default=defaults.scenes)
    parser.add_argument("--token-words", type=int, default=defaults.token_words)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    arguments = vars(parser.parse_args())
    output, checkpoints = arguments.pop("output"), arguments.pop("checkpoints")
    train(NanoRun(**arguments), output, checkpoints)


if __name__ == "__main__":
    main()
