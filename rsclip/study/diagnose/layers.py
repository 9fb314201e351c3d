"""Every layer of an image tower taken apart, and the statistics of its parts over many windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rsclip.methods.lastblock import ATTENTIONS, LastBlockOptions, attention_output, combine
from rsclip.model import Trunk
from rsclip.study.diagnose.statistics import (
    channel_means,
    frobenius_norm,
    maximum,
    normalised_entropy,
)

__all__ = ["PARTS", "LayerStatistics", "LayerStudy", "LayerSums", "Part", "layer_parts"]

Part = Literal["X_res", "X_attn", "X_sum"]
PARTS: tuple[Part, ...] = ("X_res", "X_attn", "X_sum")

_SUM = LastBlockOptions(attention="qk", residual=True)


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """The means over all windows of one part of one layer.

    Attributes:
        layer: From 1.
        part: "X_res", "X_attn" or "X_sum".
        entropy: Normalised, 0 to 1.
        norm: Frobenius norm over patches and channels.
        maximum: Of the windows' largest entries.
        channels: float64 (C,), means of the channels over patches and windows, falling.
        order: int64 (C,), the channels' numbers from 0, in that order.
    """

    layer: int
    part: Part
    entropy: float
    norm: float
    maximum: float
    channels: NDArray[np.float64] = field(repr=False)
    order: NDArray[np.int64] = field(repr=False)


def layer_parts(trunk: Trunk, layer: int) -> dict[Part, Tensor]:
    """Return X_res, X_attn (attention q-k, as trained) and X_sum of a layer, without FFN.

    Args:
        trunk: Of B images, with `first` at most `layer`.
        layer: From 0.

    Returns:
        Each (B, 1 + h*w, C), CLS first. What follows is X_sum + FFN(LN2(X_sum)), which is what
        enters the next layer.
    """
    block, residual = trunk.backbone.blocks[layer], trunk.entering(layer)
    with trunk.backbone.autocast():
        attended = attention_output(block, residual, trunk.grid, "qk")
        whole = combine(block, residual, attended, _SUM)
    return {"X_res": residual, "X_attn": attended, "X_sum": whole}


class LayerSums:
    """Gathers the statistics of all layers of a ViT, batch by batch.

    Args:
        depth: Layers of the model.
        width: Channels of its tokens.

    Attributes:
        windows: Images so far.
    """

    def __init__(self, depth: int, width: int) -> None:
        shape = depth, len(PARTS)
        self._sums = np.zeros((*shape, 3))
        self._channels = np.zeros((*shape, width))
        self.windows = 0

    def take(self, layers: Iterable[Mapping[Part, Tensor]], images: int) -> None:
        """Add so many images, by layer and part: the patches' tokens, each (B, h*w, C)."""
        self.windows += images
        for layer, parts in enumerate(layers):
            for index, part in enumerate(PARTS):
                patches = parts[part]
                for place, function in enumerate((normalised_entropy, frobenius_norm, maximum)):
                    self._sums[layer, index, place] += float(function(patches).sum())
                self._channels[layer, index] += channel_means(patches).sum(0).cpu().numpy()

    def statistics(self) -> list[LayerStatistics]:
        """Return the means so far, by layer and part."""
        means = self._sums / self.windows
        order = np.argsort(-self._channels, axis=-1, kind="stable")
        channels = np.take_along_axis(self._channels, order, axis=-1) / self.windows
        return [
            LayerStatistics(
                layer + 1,
                part,
                float(entropy),
                float(norm),
                float(largest),
                channels[layer, i],
                order[layer, i],
            )
            for layer in range(len(means))
            for i, part in enumerate(PARTS)
            for entropy, norm, largest in (means[layer, i],)
        ]


class LayerStudy(LayerSums):
    """Gathers the statistics of a CLIP's layers; arguments as of `LayerSums`."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__(depth, width)
        self._by_attention = np.zeros(len(ATTENTIONS))

    def add(self, trunk: Trunk) -> None:
        """Add the images of a trunk, whose `first` is 0."""
        backbone = trunk.backbone
        layers = (
            {part: tokens[:, 1:] for part, tokens in layer_parts(trunk, layer).items()}
            for layer in range(backbone.depth)
        )
        self.take(layers, len(trunk.entering(0)))
        block, residual = backbone.blocks[-1], trunk.entering(backbone.depth - 1)
        for index, attention in enumerate(ATTENTIONS):
            with backbone.autocast():
                attended = attention_output(block, residual, trunk.grid, attention)
            self._by_attention[index] += float(frobenius_norm(attended[:, 1:]).sum())

    def attention_norms(self) -> Mapping[str, float]:
        """Return the mean norm of the last layer's X_attn under every kind of attention."""
        values = self._by_attention / self.windows
        return dict(zip(ATTENTIONS, map(float, values), strict=True))
