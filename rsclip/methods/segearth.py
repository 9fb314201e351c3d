"""SegEarth-OV's attention and global bias, without its learned upsampler."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="segearth",
    summary="Last block with q-q plus k-k plus v-v attention; the image's own CLS is taken away.",
    citation="Li et al., SegEarth-OV: Towards Training-Free Open-Vocabulary Segmentation for "
    "Remote Sensing Images, CVPR 2025",
    options=LastBlockOptions(attention="qq+kk+vv", bias_lambda=-0.3),
    features=last_block_features,
)
