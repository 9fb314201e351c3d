"""MaskCLIP: the value path of the last block alone."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="maskclip",
    summary="Last block's values alone: every patch attends to itself; no residual, no FFN.",
    citation="Zhou et al., Extract Free Dense Labels from CLIP, ECCV 2022",
    options=LastBlockOptions(attention="identity"),
    features=last_block_features,
)
