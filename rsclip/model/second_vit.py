"""A frozen self-supervised ViT whose patches tell which places belong together (`--affinity`)."""

from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor

__all__ = ["SecondVit"]


@dataclass(frozen=True, eq=False, slots=True)
class SecondVit:
    """A ViT in timm's form.

    Attributes:
        name: What the user calls it.
        model: timm's model, made with `dynamic_img_size`; frozen, float32.
        patch: Side of a patch in pixels.
        width: Channels of its tokens.
        source: The file of its weights.
        weights_sha256: Of that file.
    """

    name: str
    model: Any
    patch: int
    width: int
    source: str
    weights_sha256: str

    def to(self, device: torch.device) -> Self:
        """Move the model in place; return self."""
        self.model.to(device)
        return self

    def features(self, images: Tensor) -> Tensor:
        """Return the patch tokens of images: float32 (B, h, w, C).

        Args:
            images: float (B, 3, H, W) in 0..1, on the model's device; H and W multiples of the
                patch. They are normalised here, as the model was trained.

        Returns:
            What timm's `forward_features` gives, CLS and registers dropped.
        """
        mean, std = (
            torch.tensor(self.model.pretrained_cfg[key], device=images.device).view(3, 1, 1)
            for key in ("mean", "std")
        )
        tokens = self.model.forward_features((images - mean) / std)
        patches = tokens[:, self.model.num_prefix_tokens :].float()
        height, width = (side // self.patch for side in images.shape[-2:])
        return cast(Tensor, patches.reshape(len(images), height, width, -1))
