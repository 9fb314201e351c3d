"""Find the logit scale of nano's scores: `python -m rsclip.nano.calibrate --real DIR`.

A model's probabilities should say how often it is right (Guo et al., ICML 2017). One number is
fitted: the whole logit scale with the least negative log likelihood of the truth, on the validation
places of the sets with masks. Every set counts the same. Where a label may be any of several
classes, their probabilities are added up.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.config import DEFAULT_LOGIT_SCALE
from rsclip.files import data_path
from rsclip.nano.export import load_nano
from rsclip.nano.image_tower import DENSE_SCALE
from rsclip.nano.model import encode_text
from rsclip.nano.real import SETS, RealSet, groups, images, parse_with_folder
from rsclip.nano.real_scores import words_of
from rsclip.nano.sliding import class_logits
from rsclip.nano.text_tower import Tokens
from rsclip.nano.words import IMAGENET_TEMPLATES
from rsclip.study.evaluate.result import Reliability

SCALES = range(5, 101)
EVERY = 11
"""One pixel in so many, along rows and columns: neighbours say the same."""

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def group_probabilities(cosines: Floats, members: Ints, scale: float) -> Floats:
    """Probabilities (N, G) of groups of words.

    Args:
        cosines: (N, Q) of pixels and words.
        members: (Q,) the group of each word, ascending.
        scale: Factor from cosine to logit.
    """
    logits = scale * (cosines - cosines.max(axis=1, keepdims=True))
    odds = np.exp(logits)
    starts = np.flatnonzero(np.diff(members, prepend=-1))
    sums: Floats = np.add.reduceat(odds, starts, axis=1) / odds.sum(axis=1, keepdims=True)
    return sums


def log_loss(cosines: Floats, members: Ints, truth: Ints, scale: float) -> float:
    """Mean negative log likelihood of the true group of each pixel, in nats."""
    found = group_probabilities(cosines, members, scale)[np.arange(len(truth)), truth]
    return float(-np.log(found.clip(1e-9)).mean())


def calibration_error(cosines: Floats, members: Ints, truth: Ints, scale: float) -> float:
    """Expected calibration error of the likeliest group, 0 to 1."""
    found = group_probabilities(cosines, members, scale)
    reliability = Reliability()
    percent = np.rint(100 * found.max(axis=1)).astype(np.uint8)
    reliability.add(percent, found.argmax(axis=1) == truth)
    return reliability.error


def best_scale(sets: list[tuple[Floats, Ints, Ints]]) -> int:
    """The scale of `SCALES` with the least loss, every set of (cosines, members, truth) alike."""
    return min(SCALES, key=lambda scale: sum(log_loss(*one, scale) for one in sets))


def read_set(model: Any, shape: Any, real: Path, of: RealSet) -> tuple[Floats, Ints, Ints] | None:
    """Cosines, groups of the words and truth of a set's validation pixels; None without any."""
    tokens = Tokens()
    with torch.no_grad():
        prompts = [[(template, word) for template in IMAGENET_TEMPLATES] for word in words_of(of)]
        words = [encode_text(model, tokens(each)).mean(dim=0) for each in prompts]
    embedded = F.normalize(torch.stack(words), dim=-1)
    half = shape.image_size // 2
    cosines, truths = [], []
    for image in images(real, of, validation=True):
        height, width = (side // half * half for side in image.truth.shape)
        pixels = image.pixels[:height, :width].transpose(2, 0, 1)
        logits = class_logits(model, shape, pixels, embedded)[:, ::EVERY, ::EVERY]
        truth = image.truth[:height:EVERY, :width:EVERY]
        cosines.append((logits / DENSE_SCALE).numpy()[:, truth >= 0].T)
        truths.append(truth[truth >= 0].astype(np.int64))
    if not truths:
        return None
    members = np.array([k for k, group in enumerate(groups(of)) for _ in group])
    return np.concatenate(cosines), members, np.concatenate(truths)


def main() -> None:
    """Parse the command line, fit, print."""
    parser = argparse.ArgumentParser(description="Find the logit scale of nano's scores.")
    parser.add_argument("--model", type=Path, help="folder of a model; default: the shipped one")
    given = parse_with_folder(parser)
    model, shape = load_nano(given.model or data_path("nano"))
    model.eval()
    found = {
        of.name: read_set(model, shape, given.real, of) for of in SETS if of.labels is not None
    }
    sets = {name: one for name, one in found.items() if one is not None}
    scale = best_scale(list(sets.values()))
    print(
        f"{'set':22} own best scale  loss and calibration error at {DEFAULT_LOGIT_SCALE:g}, {scale}"
    )
    rows = {
        name: [
            score(*one, each)
            for each in (DEFAULT_LOGIT_SCALE, scale)
            for score in (log_loss, calibration_error)
        ]
        for name, one in sets.items()
    }
    for name, one in sets.items():
        print(f"{name:22} {best_scale([one]):14}  {_line(rows[name])}")
    print(f"{'mean':22} {scale:14}  {_line(np.mean(list(rows.values()), axis=0))}")
    print(f"LOGIT_SCALE = {scale}  # for rsclip/nano/export.py and the model's config")


def _line(figures: Sequence[float]) -> str:
    return " ".join(f"{one:6.3f}" for one in figures)


if __name__ == "__main__":
    main()
