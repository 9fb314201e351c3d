"""SCLIP: correlative self-attention, q-q and k-k, in the last block."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="sclip",
    summary="Last block with q-q plus k-k attention; residual and FFN kept.",
    citation="Wang et al., SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference, "
    "ECCV 2024",
    options=LastBlockOptions(attention="qq+kk", residual=True, ffn=True),
    features=last_block_features,
)
