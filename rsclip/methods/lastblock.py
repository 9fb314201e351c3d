"""The family of methods that change the last block only.

With X the tokens that enter the last block, q, k, v of LN1(X) per head and
A(a, b) = softmax(a b^T / sqrt(d_head)):

    X_attn = OutProj(sum of A(a, b) v)
    base   = alpha X_attn, and with the residual: R(X) + alpha X_attn
    X*     = base + FFN(LN2(base)) with the FFN, base without

R(X) is X, or what `beta` and `normalised` leave of it. All earlier blocks run untouched; CLS takes
part in the attention of the changed block.

Source: Lan et al., ClearCLIP, ECCV 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from rsclip.methods.attention import gaussian, merge_heads, split_heads
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.options import option
from rsclip.methods.torch_on_use import F, torch
from rsclip.types import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Trunk

__all__ = [
    "ATTENTIONS",
    "LAST_BLOCK_METHODS",
    "Attention",
    "LastBlockOptions",
    "attention_output",
    "combine",
    "last_block_features",
    "residual_part",
]

Attention = Literal["qk", "qq", "kk", "vv", "identity", "qq+kk", "qq+kk+vv", "kk+gaussian"]
"""Terms joined by "+", each with a softmax of its own; "gaussian" is added inside it."""

ATTENTIONS: tuple[Attention, ...] = get_args(Attention)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBlockOptions(MethodOptions):
    """Options of the family.

    Attributes:
        attention: What attends to what in the last block.
        residual: Keep the last block's residual connection around its attention.
        ffn: Keep the last block's feed-forward part.
        alpha: Factor of X_attn; 0 with the residual and without FFN segments from X_res alone.
        beta: Percent of channels, those of the largest mean absolute value over an image's tokens,
            that are set to 0 in the residual.
        normalised: L2-normalise each token of the residual (after `beta`).
        gaussian_std: Standard deviation in patches, for "kk+gaussian".
    """

    attention: Attention = option("qq", "What attends to what in the last block.")
    residual: bool = option(False, "Keep the last block's residual connection.")
    ffn: bool = option(False, "Keep the last block's feed-forward part.")
    alpha: float = option(1.0, "Factor of the attention's output.", low=0, high=1e6)
    beta: float = option(
        0.0, "Percent of strongest channels cut from the residual.", low=0, high=100
    )
    normalised: bool = option(False, "L2-normalise the tokens of the residual.")
    gaussian_std: float = option(1.0, "Spread of kk+gaussian in patches.", low=1e-3, high=1e3)


def last_block_features(trunk: Trunk, options: LastBlockOptions) -> DenseFeatures:
    """Run the last block as the options say, from a trunk's tokens."""
    backbone = trunk.backbone
    block, x = backbone.blocks[-1], trunk.entering(backbone.depth - 1)
    attended = attention_output(block, x, trunk.grid, options.attention, options.gaussian_std)
    x = combine(block, x, attended, options)
    return DenseFeatures(trunk.head(x[:, 1:]), lambda: backbone.head(x[:, 0]))


def attention_output(
    block: Any, x: Tensor, grid: Shape, attention: Attention, gaussian_std: float = 1.0
) -> Tensor:
    """Return X_attn (B, 1 + h*w, C) of a block for its input tokens X of the same shape."""
    terms = attention.split("+")
    spread = "gaussian" in terms
    if spread:
        terms.remove("gaussian")
    used = {"v"}.union(*(term for term in terms if term != "identity"))
    wanted = "".join(part for part in "qkv" if part in used)
    named = dict(zip(wanted, split_heads(block, x, wanted), strict=True))
    bias = gaussian(grid, gaussian_std, named["v"]) if spread else None
    mixed = torch.zeros_like(named["v"])
    for term in terms:
        mixed = mixed + (named["v"] if term == "identity" else _attend(named, term, bias))
    return merge_heads(block, mixed)


def combine(block: Any, residual: Tensor, attended: Tensor, options: LastBlockOptions) -> Tensor:
    """Return X* of a block from X_res and X_attn, all (B, 1 + h*w, C)."""
    # A factor of 1 must not cost a pass over the tokens.
    base = attended if options.alpha == 1 else options.alpha * attended
    if options.residual:
        base = residual_part(residual, options.beta, normalised=options.normalised) + base
    return base + block.ls_2(block.mlp(block.ln_2(base))) if options.ffn else base


def residual_part(residual: Tensor, beta: float, *, normalised: bool = False) -> Tensor:
    """Return what is left of X_res (B, N, C) without its strongest channels.

    Args:
        residual: X_res; each image is looked at by itself.
        beta: Percent of channels to set to 0, those of the largest mean absolute value over tokens.
        normalised: L2-normalise each token after that.
    """
    count = round(int(residual.shape[-1]) * beta / 100)
    if count:
        strongest = residual.abs().mean(dim=1).topk(count, dim=-1).indices
        cut = torch.zeros_like(residual[:, 0]).scatter_(-1, strongest, 1.0).bool()
        residual = residual.masked_fill(cut[:, None], 0)
    return F.normalize(residual, dim=-1) if normalised else residual


def _attend(parts: dict[str, Tensor], term: str, bias: Tensor | None) -> Tensor:
    """Return A(a, b) v, (B, heads, N, d), for a term such as "qk"."""
    a, b = parts[term[0]], parts[term[1]]
    return F.scaled_dot_product_attention(a, b, parts["v"], attn_mask=bias)


def _member(
    name: str, summary: str, citation: str, pair_matrices: int = 0, **options: Any
) -> Method:
    return Method(
        name=name,
        summary=summary,
        citation=citation,
        options=LastBlockOptions(**options),
        features=last_block_features,
        pair_matrices=pair_matrices,
        fixed_graph=True,
    )


LAST_BLOCK_METHODS = (
    _member(
        "clearclip",
        "Last block with q-q attention, no residual, no FFN.",
        "Lan et al., ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language "
        "Inference, ECCV 2024",
        attention="qq",
    ),
    _member(
        "clip",
        "The model unchanged: q-k attention, residual and FFN kept.",
        "Radford et al., Learning Transferable Visual Models From Natural Language "
        "Supervision, ICML 2021",
        attention="qk",
        residual=True,
        ffn=True,
    ),
    _member(
        "maskclip",
        "Last block's values alone: every patch attends to itself; no residual, no FFN.",
        "Zhou et al., Extract Free Dense Labels from CLIP, ECCV 2022",
        attention="identity",
    ),
    _member(
        "naclip",
        "Last block with k-k attention plus a Gaussian neighbourhood; no residual, no FFN.",
        "Hajimiri et al., Pay Attention to Your Neighbours: Training-Free Open-Vocabulary "
        "Semantic Segmentation, WACV 2025",
        pair_matrices=2,
        attention="kk+gaussian",
    ),
    _member(
        "sclip",
        "Last block with q-q plus k-k attention; residual and FFN kept.",
        "Wang et al., SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference, "
        "ECCV 2024",
        attention="qq+kk",
        residual=True,
        ffn=True,
    ),
    _member(
        "segearth",
        "Last block with q-q plus k-k plus v-v attention; the image's own CLS is taken away.",
        "Li et al., SegEarth-OV: Towards Training-Free Open-Vocabulary Segmentation for "
        "Remote Sensing Images, CVPR 2025",
        attention="qq+kk+vv",
        bias_lambda=-0.3,
    ),
)
"""The methods of the papers that are members of this family."""
