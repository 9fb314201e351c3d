"""A run to be killed: `python killed.py SCENE OUT`, with points to go on from all the time."""

import sys
import time

from rsclip.config import build_config
from rsclip.run import checkpoint
from rsclip.run.segment import Failure, segment_scenes
from tests.run.stub import StubEncoder, loader

OPTIONS = {"confidence": True, "probabilities": True, "resume": True}


class Slow(StubEncoder):
    def similarities(self, images):
        time.sleep(0.004)
        return super().similarities(images)


def run(scene, out, encoder, **options):
    config = build_config({**OPTIONS, **options})
    (outcome,) = segment_scenes(
        [scene], "bright, dark", out, config=config, model_loader=loader(encoder)
    )
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


if __name__ == "__main__":
    checkpoint._SECONDS = 0.0
    print("ready", flush=True)
    run(sys.argv[1], sys.argv[2], Slow())
