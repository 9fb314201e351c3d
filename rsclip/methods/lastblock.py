"""The family of methods that change the last block only.

With q, k, v of LN1(X) per head and A(a, b) = softmax(a b^T / sqrt(d_head)):

    X_attn = OutProj(sum of A(a, b) v)
    base   = X + X_attn with the residual, X_attn without
    X*     = base + FFN(LN2(base)) with the FFN, base without

All earlier blocks run untouched. CLS takes part in the attention of the changed block.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.backbone import Backbone
from rsclip.methods.base import DenseFeatures
from rsclip.types import Shape

__all__ = ["ATTENTIONS", "Attention", "attention_output", "last_block_features"]

Attention = Literal["qk", "qq", "kk", "vv", "identity", "qq+kk", "qq+kk+vv", "kk+gaussian"]
"""Terms joined by "+", each with a softmax of its own; "gaussian" is added inside it."""

ATTENTIONS: tuple[str, ...] = get_args(Attention)


def last_block_features(
    backbone: Backbone,
    images: Tensor,
    *,
    attention: Attention,
    residual: bool,
    ffn: bool,
    gaussian_std: float = 1.0,
) -> DenseFeatures:
    """Run a model with its last block changed.

    Args:
        backbone: The model.
        images: float (B, 3, H, W), normalised; any whole number of patches.
        attention: What attends to what in the last block.
        residual: Keep the last block's residual connection around its attention.
        ffn: Keep the last block's feed-forward part.
        gaussian_std: Standard deviation in patches, for "kk+gaussian".

    Returns:
        Tokens (B, h, w, D) and CLS (B, D) after LN_post and projection.
    """
    grid = backbone.grid(images)
    x = backbone.embed(images)
    *earlier, last = backbone.blocks
    for block in earlier:
        x = block(x)
    x = _changed_block(last, x, grid, attention, residual, ffn, gaussian_std)
    x = backbone.head(x)
    return DenseFeatures(x[:, 1:].reshape(len(x), *grid, -1), x[:, 0])


def attention_output(
    block: Any, x: Tensor, grid: Shape, attention: Attention, gaussian_std: float = 1.0
) -> Tensor:
    """Return X_attn (B, 1 + h*w, C) of a block for its input tokens X of the same shape."""
    heads = block.attn.num_heads
    projected = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
    parts = projected.reshape(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    named = dict(zip("qkv", parts, strict=True))  # each (B, heads, N, d)
    terms = attention.split("+")
    bias = None
    if "gaussian" in terms:
        terms.remove("gaussian")
        bias = _gaussian(grid, gaussian_std, named["q"])
    mixed = sum(named["v"] if term == "identity" else _attend(named, term, bias) for term in terms)
    assert isinstance(mixed, Tensor)
    output: Tensor = block.attn.out_proj(mixed.transpose(1, 2).flatten(2))
    # Models with LayerScale carry it here; an identity in the others.
    scaled: Tensor = block.ls_1(output)
    return scaled


def _changed_block(
    block: Any,
    x: Tensor,
    grid: Shape,
    attention: Attention,
    residual: bool,
    ffn: bool,
    gaussian_std: float,
) -> Tensor:
    attended = attention_output(block, x, grid, attention, gaussian_std)
    base = x + attended if residual else attended
    return base + block.ls_2(block.mlp(block.ln_2(base))) if ffn else base


def _attend(parts: dict[str, Tensor], term: str, bias: Tensor | None) -> Tensor:
    """Return A(a, b) v, (B, heads, N, d), for a term such as "qk"."""
    a, b = parts[term[0]], parts[term[1]]
    return F.scaled_dot_product_attention(a, b, parts["v"], attn_mask=bias)


def _gaussian(grid: Shape, std: float, like: Tensor) -> Tensor:
    """Return exp(-dist^2 / (2 std^2)) over patch grid distance, (1 + h*w, 1 + h*w), CLS zero."""
    rows, cols = (torch.arange(side, device=like.device, dtype=torch.float32) for side in grid)
    places = torch.cartesian_prod(rows, cols)
    squared = (places[:, None] - places[None]).square().sum(-1)
    return F.pad(torch.exp(-squared / (2 * std * std)), (1, 0, 1, 0)).to(like.dtype)
