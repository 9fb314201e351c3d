"""What a dense method is: a name, its options, and a function from tokens to dense features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsclip.errors import OptionError
from rsclip.methods.options import option
from rsclip.methods.torch_on_use import F, torch

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.adapters.base import Adapter
    from rsclip.model import Trunk

__all__ = ["DenseFeatures", "Method", "MethodOptions", "cosine"]


@dataclass(frozen=True, slots=True)
class DenseFeatures:
    """What a method reads out of an image tower, in the joint embedding space.

    Attributes:
        tokens: float32 (B, h, w, D), one per patch, not normalised.
        cls: Gives the CLS token, float32 (B, D), not normalised: on the method's own path where
            that keeps one, else of the unchanged model. Called only where it is needed.
    """

    tokens: Tensor
    cls: Callable[[], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodOptions:
    """Options that every method has.

    Attributes:
        bias_lambda: Factor of SegEarth-OV's global bias (Li et al., CVPR 2025): cosine(CLS, query)
            times this is added to every patch's similarity; below 0 it takes away what the image
            as a whole says.
    """

    bias_lambda: float = option(
        0.0, "Times cosine(CLS, word), added to every patch's similarity.", low=-10, high=10
    )


def cosine(features: DenseFeatures, text: Tensor, options: MethodOptions) -> Tensor:
    """Return the cosine of every patch with every query: float32 (B, Q, h, w).

    Args:
        features: Of B images.
        text: float32 (Q, D), L2-normalised.
        options: The method's.
    """
    tokens = F.normalize(features.tokens, dim=-1)
    similarities = torch.einsum("bhwd,qd->bqhw", tokens, text)
    if options.bias_lambda:
        of_image = F.normalize(features.cls(), dim=-1) @ text.T
        similarities = similarities + options.bias_lambda * of_image[..., None, None]
    return similarities


def _last_block(depth: int, options: Any) -> int:
    return depth - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A dense method.

    Attributes:
        name: What the user calls it.
        summary: One line.
        citation: The paper.
        options: Its options at their defaults: a frozen dataclass, every field an `option`.
        features: Maps (trunk, options) to dense features. It asks the trunk for nothing that
            enters a block before `first_block`.
        first_block: Maps (depth, options) to the first block whose entering tokens it needs; all
            blocks before may be shared with other methods. Raises OptionError where the options
            do not fit a model of that depth: its remedy is what to give, without a flag (the
            function of the same name adds it).
        pair_matrices: How many float32 values for every two patches of an image it holds at once,
            beyond what a block of the model does; as measured.
        takes_affinity: It reads `Trunk.affinity`; its features may lie on that grid.
        exact_positions: It resizes position embeddings to the exact size, antialiased.
        compare: Maps (features, text, options) to similarities (B, Q, h, w).
        fixed_graph: `features` computes the same operations whatever the pixels are, and `compare`
            asks for the CLS only if `bias_lambda` is set: the method can be exported.
    """

    name: str
    summary: str
    citation: str
    options: MethodOptions
    features: Callable[[Trunk, Any], DenseFeatures]
    first_block: Callable[[int, Any], int] = _last_block
    pair_matrices: int = 0
    takes_affinity: bool = False
    exact_positions: bool = False
    compare: Callable[[DenseFeatures, Tensor, Any], Tensor] = cosine
    fixed_graph: bool = False

    def similarities(
        self, trunk: Trunk, text: Tensor, options: Any, adapter: Adapter | None = None
    ) -> Tensor:
        """Return the similarity of every patch with every query: float32 (B, Q, h, w).

        Args:
            trunk: Of B images, with `first` at most `first_block`.
            text: float32 (Q, D), L2-normalised.
            options: Of this method.
            adapter: Changes the similarities by the patches' features.

        Raises:
            OptionError: The method gives another shape.
        """
        if adapter is None:
            return self._compared(trunk, text, options)[1]
        patches, similarities = self.patches(trunk, text, options)
        changed = adapter(patches, similarities.permute(0, 2, 3, 1))
        return changed.permute(0, 3, 1, 2)

    def patches(self, trunk: Trunk, text: Tensor, options: Any) -> tuple[Tensor, Tensor]:
        """Return the unit features of patches and their similarities; arguments as `similarities`.

        Returns:
            float32 (B, h, w, D) and float32 (B, Q, h, w).

        Raises:
            OptionError: The method gives another shape.
        """
        features, similarities = self._compared(trunk, text, options)
        return F.normalize(features.tokens, dim=-1), similarities

    def _compared(self, trunk: Trunk, text: Tensor, options: Any) -> tuple[DenseFeatures, Tensor]:
        with trunk.backbone.autocast():
            features = self.features(trunk, options)
        # Cosines are never rounded to half precision.
        similarities = self.compare(features, text, options)
        grid = tuple(features.tokens.shape[1:3]) if self.takes_affinity else trunk.grid
        wanted = (len(features.tokens), len(text), *grid)
        if similarities.shape != wanted:
            raise OptionError(
                f"the method {self.name} gives similarities of shape {tuple(similarities.shape)}, "
                f"not {wanted}",
                remedy="Its features are (B, h, w, D): `trunk.head` of patches without CLS.",
            )
        return features, similarities
