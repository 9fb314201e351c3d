"""ClearCLIP: the last block with q-q attention, without residual and feed-forward part."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="clearclip",
    summary="Last block with q-q attention, no residual, no FFN.",
    citation="Lan et al., ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language "
    "Inference, ECCV 2024",
    options=LastBlockOptions(attention="qq"),
    features=last_block_features,
)
