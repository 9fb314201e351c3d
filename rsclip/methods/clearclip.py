"""ClearCLIP: the last block with q-q attention, without residual and feed-forward part."""

from dataclasses import dataclass

from torch import Tensor

from rsclip.backbone import Backbone
from rsclip.methods.base import DenseFeatures, Method
from rsclip.methods.lastblock import Attention, last_block_features

__all__ = ["CLEARCLIP", "ClearClipOptions"]


@dataclass(frozen=True, slots=True)
class ClearClipOptions:
    """Options of ClearCLIP.

    Attributes:
        attention: What attends to what in the last block.
        residual: Keep the last block's residual connection.
        ffn: Keep the last block's feed-forward part.
    """

    attention: Attention = "qq"
    residual: bool = False
    ffn: bool = False


def _features(backbone: Backbone, images: Tensor, options: ClearClipOptions) -> DenseFeatures:
    return last_block_features(
        backbone,
        images,
        attention=options.attention,
        residual=options.residual,
        ffn=options.ffn,
    )


CLEARCLIP = Method(
    name="clearclip",
    summary="Last block with q-q attention, no residual, no FFN.",
    citation="Lan et al., ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language "
    "Inference, ECCV 2024",
    options=ClearClipOptions,
    features=_features,
)
