"""NACLIP: k-k attention that favours neighbours on the patch grid."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="naclip",
    summary="Last block with k-k attention plus a Gaussian neighbourhood; no residual, no FFN.",
    citation="Hajimiri et al., Pay Attention to Your Neighbours: Training-Free Open-Vocabulary "
    "Semantic Segmentation, WACV 2025",
    options=LastBlockOptions(attention="kk+gaussian"),
    features=last_block_features,
    pair_matrices=2,
)
