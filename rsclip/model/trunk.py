"""The untouched tokens of a batch of images, which every dense method starts from."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from rsclip.model.backbone import Backbone
from rsclip.types import Shape

__all__ = ["Trunk"]


class Trunk:
    """Runs an image tower's own blocks when they are first needed, each once.

    Several methods may take tokens from one trunk: what they share is computed once.

    Args:
        backbone: The model.
        images: float (B, 3, H, W), normalised by its mean and std; H and W multiples of its patch.
        first: The first block whose entering tokens will be asked for; earlier ones are not kept.
        exact_positions: See `Backbone.positions`.
        affinity: Gives what `affinity` returns, when it is first asked for.

    Attributes:
        backbone: As given.
        images: As given.
        grid: (h, w), rows and columns of patches.

    Raises:
        OptionError: The size is not a multiple of the patch.
    """

    def __init__(
        self,
        backbone: Backbone,
        images: Tensor,
        *,
        first: int = 0,
        exact_positions: bool = False,
        affinity: Callable[[], Tensor] | None = None,
    ) -> None:
        self.backbone = backbone
        self.images = images
        self.grid: Shape = backbone.grid(images)
        self._blocks = backbone.blocks
        self._first = first
        self._last = 0
        self._affinity = affinity
        self._exact_positions = exact_positions
        self._tokens: dict[int, Tensor] = {}

    def entering(self, block: int) -> Tensor:
        """Return the tokens that enter a block, the same as leave the one before.

        Args:
            block: From `first` to the model's depth; that is what leaves the last block.

        Returns:
            (B, 1 + h*w, C): CLS, then patches row-major. Shared: not to be changed in place.
        """
        if not self._first <= block <= len(self._blocks):
            raise ValueError(f"tokens are kept from block {self._first} to {len(self._blocks)}")
        if not self._tokens:
            positions = self.backbone.positions(self.grid, exact=self._exact_positions)
            self._tokens[0] = self.backbone.embed(self.images, positions)
        while self._last < block:
            x = self._tokens[self._last]
            if self._last < self._first:
                del self._tokens[self._last]
            with self.backbone.autocast():
                self._tokens[self._last + 1] = self._run(self._blocks[self._last], x)
            self._last += 1
        return self._tokens[block]

    def _run(self, block: Any, x: Tensor) -> Tensor:
        output: Tensor = block(x)
        return output

    def affinity(self) -> Tensor | None:
        """Return patch features of a second ViT on the same images, (B, h', w', C'); or None."""
        return None if self._affinity is None else self._affinity()

    def cls(self) -> Tensor:
        """Return the CLS of the unchanged model in the joint space: float32 (B, D)."""
        return self.backbone.head(self.entering(len(self._blocks))[:, 0])

    def head(self, patches: Tensor) -> Tensor:
        """Return LN_post and projection of patches (B, h*w, C), on the grid: (B, h, w, D)."""
        return self.backbone.head(patches).reshape(-1, *self.grid, self.backbone.dim)
