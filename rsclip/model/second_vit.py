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

    @property
    def depth(self) -> int:
        """Number of its blocks."""
        return len(self.model.blocks)

    def facts(self) -> dict[str, Any]:
        """Return what records say of it."""
        return {"name": self.name, "patch": self.patch, "weights_sha256": self.weights_sha256}

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
        patches = self._patches(self._run(images))
        height, width = (side // self.patch for side in images.shape[-2:])
        return patches.reshape(len(images), height, width, -1)

    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return what enters each block, and that with what its attention adds.

        Args:
            images: As of `features`.

        Returns:
            Pairs of float32 (B, h*w, C), CLS and registers dropped.
        """
        entering: list[Tensor] = []
        attended: list[Tensor] = []
        hooks = [
            part.register_forward_pre_hook(lambda _, given, kept=kept: kept.append(given[0]))
            for block in self.model.blocks
            # What the second norm of a block sees is the sum.
            for part, kept in ((block, entering), (block.norm2, attended))
        ]
        try:
            self._run(images)
        finally:
            for hook in hooks:
                hook.remove()
        return list(zip(map(self._patches, entering), map(self._patches, attended), strict=True))

    def _run(self, images: Tensor) -> Tensor:
        mean, std = (
            torch.tensor(self.model.pretrained_cfg[key], device=images.device).view(3, 1, 1)
            for key in ("mean", "std")
        )
        return cast(Tensor, self.model.forward_features((images - mean) / std))

    def _patches(self, tokens: Tensor) -> Tensor:
        return tokens[:, self.model.num_prefix_tokens :].float()
