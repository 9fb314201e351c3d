"""GEM: a second path of self-self attention beside the last blocks.

For each of q, k, v of LN1(X), X the tokens of the original path, per head, with
tau = mean norm of LN1(X)'s tokens / sqrt(d_head), an image's own:

    x      = normalise(x)
    x      = normalise( softmax(tau x x^T) x )        `iterations` times
    A_x    = softmax(tau x x^T)
    output = OutProj( (A_q v + A_k v + A_v v) / 3 )
    Y      = Y + output  with the residual, output  without

Source: Bousselham et al., Grounding Everything, CVPR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsclip.methods.attention import changed_blocks, merge_heads, split_heads
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.options import option
from rsclip.methods.torch_on_use import F, torch

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Trunk

__all__ = ["METHOD", "GemOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GemOptions(MethodOptions):
    """Options of GEM.

    Attributes:
        blocks: How many of the last blocks have the second path.
        iterations: How often q, k and v attend to themselves before they make the attention.
        residual: Keep the second path's residual connections.
    """

    blocks: int = option(6, "Last blocks that have the second path.", low=1)
    iterations: int = option(1, "Self-self attention steps before the values.", low=0, high=100)
    residual: bool = option(True, "Keep the second path's residual connections.")


def _features(trunk: Trunk, options: GemOptions) -> DenseFeatures:
    blocks = trunk.backbone.blocks
    first = len(blocks) - options.blocks
    path = trunk.entering(first)
    for index in range(first, len(blocks)):
        output = _self_self(blocks[index], trunk.entering(index), options.iterations)
        path = path + output if options.residual else output
    return DenseFeatures(trunk.head(path[:, 1:]), trunk.cls)


def _self_self(block: Any, x: Tensor, iterations: int) -> Tensor:
    """Return the second path's output (B, N, C) of a block for the original path's tokens X."""
    parts = split_heads(block, x)
    values = parts[2]
    norm = block.ln_1(x).norm(dim=-1).mean(dim=1)
    tau = (norm * values.shape[-1] ** -0.5)[:, None, None, None]
    mixed = torch.zeros_like(values)
    for part in parts:
        part = F.normalize(part, dim=-1)
        for _ in range(iterations):
            part = F.normalize(_attend(part, part, tau), dim=-1)
        mixed = mixed + _attend(part, values, tau)
    return merge_heads(block, mixed / len(parts))


def _attend(part: Tensor, values: Tensor, tau: Tensor) -> Tensor:
    """Return softmax(tau x x^T) v, all (B, heads, N, d)."""
    return F.scaled_dot_product_attention(tau * part, part, values, scale=1.0)


METHOD = Method(
    name="gem",
    summary="Last blocks with a second path of q-q, k-k and v-v self-self attention.",
    citation="Bousselham et al., Grounding Everything: Emerging Localization Properties in "
    "Vision-Language Transformers, CVPR 2024",
    options=GemOptions(),
    features=_features,
    first_block=lambda depth, options: changed_blocks(depth, options.blocks, "gem"),
    exact_positions=True,
    fixed_graph=True,
)
