"""Pieces of a block's attention that the methods put together anew.

With q, k, v of LN1(X) per head: A(a, b) = softmax(a b^T / sqrt(d_head)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rsclip.errors import OptionError
from rsclip.methods.torch_on_use import F, torch
from rsclip.types import Shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["changed_blocks", "gaussian", "merge_heads", "scaled_layer", "split_heads"]


def split_heads(block: Any, x: Tensor, wanted: str = "qkv") -> tuple[Tensor, ...]:
    """Return q, k, v, each (B, heads, N, d), of a block for its input tokens X (B, N, C).

    Args:
        block: Of the image tower.
        x: X.
        wanted: Which of them, in the order of "qkv"; others are not worked out.
    """
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    if wanted != "qkv":
        weight, bias = (
            torch.cat([each.chunk(3)["qkv".index(name)] for name in wanted])
            for each in (weight, bias)
        )
    projected = F.linear(block.ln_1(x), weight, bias)
    parts = projected.reshape(*x.shape[:2], len(wanted), block.attn.num_heads, -1)
    return parts.permute(2, 0, 3, 1, 4).unbind()


def merge_heads(block: Any, mixed: Tensor) -> Tensor:
    """Return OutProj of mixed values (B, heads, N, d): (B, N, C)."""
    output: Tensor = block.attn.out_proj(mixed.transpose(1, 2).flatten(2))
    # Models with LayerScale carry it here; an identity in the others.
    scaled: Tensor = block.ls_1(output)
    return scaled


def gaussian(grid: Shape, std: float, like: Tensor) -> Tensor:
    """Return exp(-dist^2 / (2 std^2)) over patch grid distance, (1 + h*w, 1 + h*w), CLS zero.

    Args:
        grid: (h, w).
        std: In patches.
        like: Gives device and dtype.
    """
    rows, cols = (torch.arange(side, device=like.device, dtype=torch.float32) for side in grid)
    places = torch.cartesian_prod(rows, cols)
    squared = (places[:, None] - places[None]).square().sum(-1)
    return F.pad(torch.exp(-squared / (2 * std * std)), (1, 0, 1, 0)).to(like.dtype)


def changed_blocks(depth: int, blocks: int, method: str) -> int:
    """Return the first of the last `blocks` blocks.

    Raises:
        OptionError: The model has fewer; see `first_block` for where.
    """
    if blocks > depth:
        raise OptionError(
            f"{method} changes the last {blocks} blocks; this model has {depth}",
            remedy=f"blocks=N, N up to {depth}.",
        )
    return depth - blocks


# Layer numbers are those of SC-CLIP's paper, for a model of so many blocks.
_PAPER_DEPTH = 12


def scaled_layer(layer: int, depth: int) -> int:
    """Return the layer of a model of `depth` blocks that stands for one of a model of 12."""
    return round(layer * depth / _PAPER_DEPTH)
