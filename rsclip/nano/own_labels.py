"""A model's own labels on real images without truth, where it is sure of them.

Self-training (Lee 2013): a pixel is labelled where the model gives the image, its mirror image and
the image at half its size one class, with a mean probability above `SURE`.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import torch
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.errors import InputError
from rsclip.nano.export import LOGIT_SCALE, load_nano
from rsclip.nano.image_tower import DENSE_SCALE, ClassPrompts
from rsclip.nano.real import RealImage, RealSet, licences
from rsclip.nano.scenes import CLASSES, MORE_CLASSES
from rsclip.nano.sliding import class_logits
from rsclip.nano.words import load_vocabulary

SURE = 0.7
FEWEST = 0.02
"""Share of an image that must be labelled, or it is left out."""
LARGEST = 768
"""Sides are cut to it, in pixels."""
NO_DATA = 8
"""The brightest band of what is black for want of data; JPEG spreads it a little."""

NAMES = (*CLASSES, *MORE_CLASSES)
OWN = RealSet(
    "own labels", 1.0, {k: (name,) for k, name in enumerate(NAMES)}, lambda name: False, share=3.0
)


@dataclass(frozen=True)
class Unlabelled:
    """Every `every`-th image of a set that matches `pattern`, at 1 / `smaller` of its size.

    That is at least twice the model's window.
    """

    of: str
    pattern: str
    every: int = 1
    smaller: int = 1


UNLABELLED = (
    Unlabelled("usgs_doodler_beach", "images/*.jpg", smaller=4),
    Unlabelled("oam_buildings", "images/zanzibar/*.jpg", every=4),
    Unlabelled("oam_buildings", "images/panauti_nepal/*.jpg", every=2),
)
"""Frames of some centimetres, whose colours mean nothing sure, and half-mapped towns."""


def sure_labels(
    pixels: npt.NDArray[np.uint8], probabilities: Callable[[npt.NDArray[np.uint8]], Tensor]
) -> npt.NDArray[np.int16]:
    """The class of each pixel, -1 where the three views disagree or are not sure.

    Args:
        pixels: (3, H, W), both sides even.
        probabilities: (3, h, w) to (K, h, w).
    """
    plain = probabilities(pixels)
    mirrored = probabilities(pixels[:, :, ::-1]).flip(-1)
    half = F.interpolate(torch.from_numpy(pixels)[None].float(), scale_factor=0.5, mode="area")[0]
    coarse = probabilities(half.round().numpy().astype(np.uint8))
    coarse = F.interpolate(coarse[None], size=plain.shape[1:], mode="bilinear")[0]
    views = torch.stack([plain, mirrored, coarse])
    surest, label = views.mean(0).max(0)
    sure = (views.argmax(1) == label).all(0) & (surest > SURE)
    found: npt.NDArray[np.int16] = torch.where(sure, label, -1).numpy().astype(np.int16)
    found[pixels.max(axis=0) <= NO_DATA] = -1
    return found


def own_labels(start: Path, folder: Path) -> Iterator[RealImage]:
    """The unlabelled images in a fixed order, with the labels of the model in `start`.

    Raises:
        InputError: An image is not in its set's README.tsv, so its licence is unknown.
    """
    model, shape = load_nano(start)
    bank = ClassPrompts(model, load_vocabulary(more=True)).names()
    side = shape.image_size

    def probabilities(image: npt.NDArray[np.uint8]) -> Tensor:
        logits = class_logits(model, shape, np.ascontiguousarray(image), bank)
        return (logits * LOGIT_SCALE / DENSE_SCALE).softmax(0)

    for source in UNLABELLED:
        root = folder / source.of
        known = licences(root)
        for path in sorted(root.glob(source.pattern))[:: source.every]:
            name = path.relative_to(root).as_posix()
            if name not in known:
                raise InputError(
                    f"{root / 'README.tsv'} does not name {name}: its licence is unknown"
                )
            pixels = _read(path, source.smaller, 2 * side)
            labels = sure_labels(pixels, probabilities)
            if (labels >= 0).mean() <= FEWEST:
                continue
            allowed = np.where(labels >= 0, 1 << labels.clip(0).astype(np.uint32), 0)
            image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
            yield RealImage(OWN, name, known[name], False, image, allowed.astype(np.uint32), labels)


def _read(path: Path, smaller: int, step: int) -> npt.NDArray[np.uint8]:
    """The upper left (3, H, W) of an image, made smaller; both sides are multiples of `step`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            size = (dataset.height // smaller, dataset.width // smaller)
            read = dataset.read((1, 2, 3), out_shape=(3, *size), resampling=Resampling.average)
    height, width = (min(n, LARGEST) // step * step for n in size)
    pixels: npt.NDArray[np.uint8] = np.ascontiguousarray(read[:, :height, :width])
    return pixels
