"""SC-CLIP: anomalous patches mended, patches aggregated by mid-layer similarity.

F_i is what leaves block i + 1; N(S) sets entries of S below beta to 0 and divides each row by its
sum; M = 3 (S - mean S), entries below 0 set to -inf; S = f f^T with f = normalise(F_8, mended).

    x = mend(F_10);  x = N(S) x                                      patches only
    attend(x) = OutProj( (softmax(M) + A(k, k)) / 2 v ) + 0.3 CLS     no residual, no FFN
    x = N(S') ( attend(x) + attend(F_3 + ... + F_9) ),  S' as S from F_3, not mended

Source: Bai et al., Self-Calibrated CLIP for Training-Free Open-Vocabulary Segmentation,
arXiv 2411.15869, 2024.
Right on any grid shape and batch: the outlier quantile and mean S are an image's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rsclip.errors import OptionError
from rsclip.methods.attention import merge_heads, scaled_layer, split_heads
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.options import option
from rsclip.methods.outliers import mend, outliers
from rsclip.methods.torch_on_use import F, torch

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Trunk

__all__ = ["METHOD", "SelfCalibratedOptions"]

_SHARPNESS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCalibratedOptions(MethodOptions):
    """Options of SC-CLIP.

    Layers are those of a model of 12 blocks, 0 being what leaves its first; a layer i of a model of
    another depth is round(i * depth / 12).

    Attributes:
        neighbours: Nearest patches of the local outlier factor.
        contamination: Share of patches taken as anomalous.
        pre_layer: Layer whose similarity aggregates the patches before the last block.
        post_layer: Layer whose similarity aggregates them after it.
        multi_start: First layer of the sum that goes through the last block too.
        multi_end: Layer after the last of that sum.
        beta: Similarities below it do not count in an aggregation.
        cls_weight: Factor of the CLS token that is added after the last block.
        attention: Second term of the last block's attention.
    """

    neighbours: int = option(30, "Nearest patches of the outlier factor.", low=1)
    contamination: float = option(0.05, "Share of patches taken as anomalous.", low=0, high=0.5)
    pre_layer: int = option(8, "Layer that aggregates before the last block.", low=0, high=10)
    post_layer: int = option(3, "Layer that aggregates after the last block.", low=0, high=10)
    multi_start: int = option(3, "First layer of the multi-level sum.", low=0, high=10)
    multi_end: int = option(10, "Layer after the last of that sum.", low=1, high=11)
    beta: float = option(0.4, "Lowest similarity that counts in an aggregation.", low=0, high=1)
    cls_weight: float = option(0.3, "Factor of CLS, added after the last block.", low=-10, high=10)
    attention: Literal["kk", "qk"] = option("kk", "Second term of the last block's attention.")


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of a model of another depth, as blocks that they enter."""

    pre: int
    post: int
    start: int
    stop: int

    @classmethod
    def of(cls, depth: int, options: SelfCalibratedOptions) -> _Layers:
        if depth < 2:
            raise OptionError(f"scclip needs two blocks or more; this model has {depth}")
        if options.multi_start >= options.multi_end:
            raise OptionError(
                f"no layer lies from {options.multi_start} to before {options.multi_end}",
                remedy=f"multi_start=N, N below {options.multi_end}.",
            )

        # Rounding may lead a shallow model past what it has, or leave no layer in the sum.
        last = depth - 2
        start = min(scaled_layer(options.multi_start, depth), last)
        stop = min(max(scaled_layer(options.multi_end, depth), start + 1), last + 1)
        pre, post = (
            min(scaled_layer(layer, depth), last)
            for layer in (options.pre_layer, options.post_layer)
        )
        return cls(pre + 1, post + 1, start + 1, stop + 1)

    @property
    def first(self) -> int:
        return min(self.pre, self.post, self.start)


def _features(trunk: Trunk, options: SelfCalibratedOptions) -> DenseFeatures:
    backbone = trunk.backbone
    depth, block = backbone.depth, backbone.blocks[-1]
    layers = _Layers.of(depth, options)
    entering = trunk.entering(depth - 1)
    cls, patches = entering[:, :1], entering[:, 1:]
    levels = trunk.entering(layers.start)
    for index in range(layers.start + 1, layers.stop):
        levels = levels + trunk.entering(index)
    # Which patches are anomalous, and which similar, must not hang on half precision.
    with torch.autocast(patches.device.type, enabled=False):
        anomalous = outliers(patches, options.neighbours, options.contamination)
        mended = mend(trunk.entering(layers.pre)[:, 1:], anomalous, trunk.grid)
        before = _similarity(mended)
        after = _similarity(trunk.entering(layers.post)[:, 1:])
        patches = _aggregate(before, mend(patches, anomalous, trunk.grid), options.beta)
        scores = _SHARPNESS * (before - before.mean(dim=(1, 2), keepdim=True))
        below = scores < 0
        # Where all patches are alike, rounding may leave a row without any.
        below.diagonal(dim1=1, dim2=2).fill_(False)
        mask = scores.masked_fill(below, -torch.inf).softmax(dim=-1)
    x = _attend(block, patches, mask, options.attention) + options.cls_weight * cls
    y = _attend(block, levels[:, 1:], mask, options.attention) + options.cls_weight * levels[:, :1]
    with torch.autocast(patches.device.type, enabled=False):
        x = _aggregate(after, x.float() + y.float(), options.beta)
    return DenseFeatures(trunk.head(x), trunk.cls)


def _similarity(patches: Tensor) -> Tensor:
    """Return the cosine of every two patches: float32 (B, N, N)."""
    unit = F.normalize(patches, dim=-1)
    return unit @ unit.mT


def _aggregate(similarity: Tensor, patches: Tensor, beta: float) -> Tensor:
    """Return each patch as the weighted mean of the patches similar enough to it: (B, N, C)."""
    weight = similarity.masked_fill(similarity < beta, 0)
    return weight @ patches / (weight.sum(dim=-1, keepdim=True) + 1e-6)


def _attend(block: Any, patches: Tensor, mask: Tensor, attention: str) -> Tensor:
    """Return OutProj of the block's values under the mean of two attentions: (B, N, C)."""
    q, k, v = split_heads(block, patches)
    own = F.scaled_dot_product_attention(k if attention == "kk" else q, k, v)
    return merge_heads(block, (mask[:, None].to(v.dtype) @ v + own) / 2)


METHOD = Method(
    name="scclip",
    summary="Anomalous patches mended, patches aggregated by similarity in middle layers.",
    citation="Bai et al., Self-Calibrated CLIP for Training-Free Open-Vocabulary Segmentation, "
    "arXiv 2411.15869, 2024",
    options=SelfCalibratedOptions(),
    features=_features,
    pair_matrices=4,
    first_block=lambda depth, options: _Layers.of(depth, options).first,
)
