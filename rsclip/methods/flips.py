"""Test-time flips: the mean similarity of an image and its flipped and turned copies (`--tta`)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rsclip.config import Tta
from rsclip.types import FloatArray

__all__ = ["mean_of_views"]

# (quarter turns, mirrored first): the four symmetries of a rectangle, the eight of a square.
_VIEWS: dict[Tta, list[tuple[int, bool]]] = {
    "none": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "d4": [(turns, flip) for turns in range(4) for flip in (False, True)],
}


def mean_of_views(encode: Callable[[Tensor], FloatArray], images: Tensor, tta: Tta) -> FloatArray:
    """Encode images as they are, and turned and flipped if asked for; return the mean.

    Args:
        encode: Images (B, 3, H, W) to similarities (B, Q, H / patch, W / patch).
        images: (B, 3, H, W).
        tta: The symmetries: "none", "flips" (four views) or "d4" (eight; square images).

    Returns:
        float32 (B, Q, H / patch, W / patch), in the place and direction of the images.
    """
    found = encode(images)
    views = _VIEWS[tta]
    if len(views) == 1:
        return found
    total = found.astype(np.float64)
    for turns, flip in views[1:]:
        view = images.flip(-1) if flip else images
        back = encode(torch.rot90(view, turns, (-2, -1)))
        back = np.rot90(back, -turns, (-2, -1))
        total += back[..., ::-1] if flip else back
    return (total / len(views)).astype(np.float32)
