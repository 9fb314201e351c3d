"""A plain sliding-window segmentation of arrays, to look at a model during training.

The figures of the model card come from `rsclip segment` (see evaluate.py), not from here.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.nano.image_tower import DENSE_SCALE, normalise
from rsclip.nano.model import NanoShape, encode_image
from rsclip.nano.scenes import CLASSES, SyntheticScene

Counts = npt.NDArray[np.int64]


@torch.no_grad()
def class_logits(
    model: Any,
    shape: NanoShape,
    image: npt.NDArray[np.uint8],
    words: torch.Tensor,
    attention: str = "qq",
) -> torch.Tensor:
    """Logits (Q, H, W) of an image (3, H, W) whose sides are multiples of half a window."""
    size, patch, grid = shape.image_size, shape.patch_size, shape.grid
    height, width = image.shape[1:]
    pixels = torch.from_numpy(image.astype(np.float32) / 255)
    corners = [
        (y, x)
        for y in range(0, height - size + 1, size // 2)
        for x in range(0, width - size + 1, size // 2)
    ]
    hann = 0.5 - 0.5 * torch.cos(2 * torch.pi * (torch.arange(grid) + 0.5) / grid)
    blend = hann[:, None] * hann[None, :]
    total = torch.zeros(len(words), height // patch, width // patch)
    norm = torch.zeros(height // patch, width // patch)
    for start in range(0, len(corners), 32):
        chosen = corners[start : start + 32]
        chips = torch.stack([pixels[:, y : y + size, x : x + size] for y, x in chosen])
        patches, _ = encode_image(model, normalise(chips), attention)
        logits = (DENSE_SCALE * patches @ words.T).transpose(1, 2)
        logits = logits.reshape(len(chips), -1, grid, grid)
        for (y, x), part in zip(chosen, logits, strict=True):
            rows = slice(y // patch, y // patch + grid)
            columns = slice(x // patch, x // patch + grid)
            total[:, rows, columns] += part * blend
            norm[rows, columns] += blend
    return F.interpolate((total / norm)[None], size=(height, width), mode="bilinear")[0]


def confusion(
    model: Any,
    shape: NanoShape,
    words: list[torch.Tensor],
    scenes: Iterable[SyntheticScene],
    attention: str = "qq",
) -> list[Counts]:
    """For each set of class embeddings (K, D), the confusion (K, K) over the scenes together."""
    classes = len(CLASSES)
    counts = [np.zeros((classes, classes), np.int64) for _ in words]
    for scene in scenes:
        image = scene.image.astype(np.uint8)
        logits = class_logits(model, shape, image, torch.cat(words), attention)
        used = (scene.labels >= 1) & (scene.labels <= classes)
        truth = scene.labels[used].astype(np.int64) - 1
        for count, part in zip(counts, torch.split(logits, classes), strict=True):
            found = part.argmax(dim=0).numpy()[used]
            count += np.bincount(truth * classes + found, minlength=classes**2).reshape(classes, -1)
    return counts


def iou(counts: Counts) -> npt.NDArray[np.float64]:
    """Intersection over union (K,) of a confusion (truth, found)."""
    both = np.diag(counts).astype(np.float64)
    result: npt.NDArray[np.float64] = both / (counts.sum(axis=0) + counts.sum(axis=1) - both)
    return result
