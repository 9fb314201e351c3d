"""Whether int8 labels a scene as fp32 does, seen on a few of its windows (`--engine auto`)."""

import itertools
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.errors import warn
from rsclip.labelling.windows import Grid
from rsclip.run.encoder import Model
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import FloatArray, Window

if TYPE_CHECKING:
    from rsclip.methods.segmenter import Segmenter

__all__ = ["choose_engine"]

_WINDOWS, _LOOKED_AT = 16, 128
_LEAST = 0.99


def choose_engine(scene: Scene, grid: Grid, model: Model, config: SegmentConfig) -> dict[str, Any]:
    """Let a model's encoder compute in int8, or in PyTorch where int8 changes too many labels.

    The windows are drawn from the whole scene, whatever the area of interest or band.

    Returns:
        What the record gains, `engine_check`: the number of windows, the share of their patches (0
        to 1) whose best word is of the same class, and what runs the encoder. Nothing unless the
        engine is "auto" and ONNX Runtime can run.

    Raises:
        RunError: A read or the encoder failed.
    """
    if config.engine != "auto" or "engine" not in model.facts:
        return {}
    segmenter = cast("Segmenter", model.encoder)
    classes = np.array([query.class_index for query in model.queries])
    images = list(itertools.islice(_images(scene, grid, config), _WINDOWS))
    # Where no window has a valid pixel, the encoder has nothing to do.
    share = 1.0
    if images:
        labels = []
        for plain in (True, False):
            segmenter.use_pytorch(plain)
            labels.append(classes[segmenter.similarities(np.stack(images)).argmax(axis=1)])
        share = float(np.mean(labels[0] == labels[1]))
    segmenter.use_pytorch(share < _LEAST)
    if share < _LEAST:
        warn(
            f"{scene.source}: int8 changes {1 - share:.1%} of the labels in {len(images)} windows: "
            "PyTorch runs the encoder (--engine=onnx-int8 does not check)"
        )
    used = "torch" if share < _LEAST else "onnx-int8"
    return {"engine_check": {"windows": len(images), "equal": round(share, 6), "used": used}}


def _images(scene: Scene, grid: Grid, config: SegmentConfig) -> Iterator[FloatArray]:
    """Yield windows with valid pixels, in a fixed random order: float32 (3, H, W) in 0..1."""
    radiometry = fit(scene, config.stretch)
    for number in random.Random(0).sample(range(len(grid)), min(len(grid), _LOOKED_AT)):
        row, col = divmod(number, len(grid.col_starts))
        place = Window(grid.row_starts[row], grid.col_starts[col], *grid.window)
        pixels, valid = scene.read(place)
        if valid.any():
            yield radiometry.apply(pixels, valid)
