"""ProxyCLIP: values of CLIP's last block, gathered by the similarity of patches elsewhere.

G are unit patch features of a second, self-supervised ViT on the same window, or what leaves a
middle layer of the same CLIP; mean S is an image's own, never the batch's:

    S  = G G^T
    A  = softmax of gamma (S - beta mean S), entries below 0 set to -inf
    X* = OutProj(A v)        v without CLS, brought to G's grid bilinearly; no residual, no FFN

`values="qq"` gathers A(q, q) v, ClearCLIP's own, in place of v.
Source: Lan et al., ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary Segmentation,
ECCV 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rsclip.methods.attention import merge_heads, scaled_layer, split_heads
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.options import option
from rsclip.methods.torch_on_use import F, torch
from rsclip.types import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Trunk

__all__ = ["METHOD", "ProxyOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions(MethodOptions):
    """Options of ProxyCLIP.

    Attributes:
        gamma: Sharpness of the attention.
        beta: Patches less similar than this many times the mean are left out.
        values: What is gathered: the values v, or what q-q attention has made of them.
        layer: Layer whose tokens make the attention where no second ViT does; of 12 blocks, 0
            being what leaves the first, as SC-CLIP counts.
    """

    gamma: float = option(3.0, "Sharpness of the attention.", low=0, high=1000)
    beta: float = option(
        1.2, "Patches less similar than this times the mean are left out.", low=-100, high=100
    )
    values: Literal["v", "qq"] = option("v", "What is gathered: v, or A(q, q) v.")
    layer: int = option(3, "Layer that makes the attention with --affinity self.", low=0, high=10)


def _features(trunk: Trunk, options: ProxyOptions) -> DenseFeatures:
    backbone = trunk.backbone
    block = backbone.blocks[-1]
    affinity = trunk.affinity()
    if affinity is None:
        own = trunk.entering(_first_block(backbone.depth, options))[:, 1:]
        affinity = own.reshape(len(own), *trunk.grid, -1)
    grid: Shape = (affinity.shape[1], affinity.shape[2])
    entering = trunk.entering(backbone.depth - 1)
    if options.values == "qq":
        q, v = split_heads(block, entering, "qv")
        v = F.scaled_dot_product_attention(q, q, v)
    else:
        (v,) = split_heads(block, entering, "v")
    values = _resized(v[:, :, 1:], trunk.grid, grid)
    # Which patches are similar must not hang on half precision.
    with torch.autocast(v.device.type, enabled=False):
        attention = _attention(affinity.float().flatten(1, 2), options)
    tokens = backbone.head(merge_heads(block, attention[:, None].to(values.dtype) @ values))
    return DenseFeatures(tokens.reshape(len(tokens), *grid, -1), trunk.cls)


def _attention(patches: Tensor, options: ProxyOptions) -> Tensor:
    """Return A of patches (B, N, C), unit or not: float32 (B, N, N), rows sum to one."""
    unit = F.normalize(patches, dim=-1)
    similarity = unit @ unit.mT
    mean = similarity.mean(dim=(1, 2), keepdim=True)
    scores = options.gamma * (similarity - options.beta * mean)
    below = scores < 0
    # Where all patches are alike, a row may have none: a patch then sees itself.
    below.diagonal(dim1=1, dim2=2).fill_(False)
    return scores.masked_fill(below, -torch.inf).softmax(dim=-1)


def _resized(values: Tensor, grid: Shape, wanted: Shape) -> Tensor:
    """Return values (B, heads, h*w, d) of a grid on another one."""
    if grid == wanted:
        return values
    batch, heads, _, size = values.shape
    plane = values.transpose(2, 3).reshape(batch, heads * size, *grid)
    plane = F.interpolate(plane, size=wanted, mode="bilinear", align_corners=False)
    return plane.reshape(batch, heads, size, -1).transpose(2, 3)


def _first_block(depth: int, options: Any) -> int:
    return min(scaled_layer(options.layer, depth) + 1, depth - 1)


METHOD = Method(
    name="proxyclip",
    summary="Values of the last block, gathered by similarity in a second ViT or a middle layer.",
    citation="Lan et al., ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary "
    "Segmentation, ECCV 2024",
    options=ProxyOptions(),
    features=_features,
    pair_matrices=4,
    first_block=_first_block,
    takes_affinity=True,
)
