"""What a dense method is: a name, its options, and a function from images to dense features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rsclip.backbone import Backbone

__all__ = ["DenseFeatures", "Method"]


@dataclass(frozen=True, slots=True)
class DenseFeatures:
    """What a method reads out of an image tower, in the joint embedding space.

    Attributes:
        tokens: float32 (B, h, w, D), one per patch, not normalised.
        cls: float32 (B, D), the CLS token on the same path, not normalised; None if it has none.
    """

    tokens: Tensor
    cls: Tensor | None


@dataclass(frozen=True, slots=True)
class Method:
    """A dense method.

    Attributes:
        name: What the user calls it.
        summary: One line.
        citation: The paper.
        options: Frozen dataclass of its options, every field typed and with a default.
        features: Maps (backbone, images, options) to dense features; images are float (B, 3, H, W)
            normalised by the backbone's mean and std, H and W multiples of its patch.
    """

    name: str
    summary: str
    citation: str
    options: type[Any]
    features: Callable[[Backbone, Tensor, Any], DenseFeatures]
