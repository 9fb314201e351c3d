"""CLIP Surgery: a second path of v-v attention beside the last blocks, and feature surgery.

With X the tokens of the original path that enter a block and v of LN1(X):

    Y = Y + OutProj( A(v, v) v )        no FFN; Y = X before the first changed block

Feature surgery weighs each query by how well it fits the whole image, and takes away what the
queries have in common: with s = cosine(patch, query),

    w  = softmax over queries of (2 cosine(CLS, query)), divided by its mean
    s' = w s - mean over queries of (w s)

Source: Li et al., CLIP Surgery for Better Explainability with Enhancement in Open-Vocabulary
Tasks, arXiv 2304.05653, 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsclip.methods.attention import changed_blocks, merge_heads, split_heads
from rsclip.methods.base import DenseFeatures, Method, MethodOptions, cosine
from rsclip.methods.options import option
from rsclip.methods.torch_on_use import F

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Trunk

__all__ = ["METHOD", "SurgeryOptions"]

_SHARPNESS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurgeryOptions(MethodOptions):
    """Options of CLIP Surgery.

    Attributes:
        blocks: How many of the last blocks have the second path.
        feature_surgery: Weigh the queries by the image and take away what they have in common.
    """

    blocks: int = option(6, "Last blocks that have the second path.", low=1)
    feature_surgery: bool = option(False, "Take away what all words have in common.")


def _features(trunk: Trunk, options: SurgeryOptions) -> DenseFeatures:
    blocks = trunk.backbone.blocks
    first = len(blocks) - options.blocks
    path = trunk.entering(first)
    for index in range(first, len(blocks)):
        (v,) = split_heads(blocks[index], trunk.entering(index), "v")
        attended = F.scaled_dot_product_attention(v, v, v)
        path = path + merge_heads(blocks[index], attended)
    return DenseFeatures(trunk.head(path[:, 1:]), trunk.cls)


def _compare(features: DenseFeatures, text: Tensor, options: SurgeryOptions) -> Tensor:
    similarities = cosine(features, text, options)
    if not options.feature_surgery:
        return similarities
    of_image = F.normalize(features.cls(), dim=-1) @ text.T
    weight = (_SHARPNESS * of_image).softmax(dim=-1)
    weight = weight / weight.mean(dim=-1, keepdim=True)
    weighted = weight[..., None, None] * similarities
    # The sum over channels of the redundant feature is the mean of the weighted similarities.
    return weighted - weighted.mean(dim=1, keepdim=True)


METHOD = Method(
    name="clipsurgery",
    summary="Last blocks with a second path of v-v attention; feature surgery as an option.",
    citation="Li et al., CLIP Surgery for Better Explainability with Enhancement in "
    "Open-Vocabulary Tasks, arXiv 2304.05653, 2023",
    options=SurgeryOptions(),
    features=_features,
    first_block=lambda depth, options: changed_blocks(depth, options.blocks, "clipsurgery"),
    compare=_compare,
)
