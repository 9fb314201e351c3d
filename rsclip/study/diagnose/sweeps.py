"""The last block in all its variants, scored against labels.

Every variant is a point of the family in `methods.lastblock`; what two sweeps share is computed
once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.methods import DenseFeatures
from rsclip.methods.base import cosine
from rsclip.methods.lastblock import (
    ATTENTIONS,
    Attention,
    LastBlockOptions,
    attention_output,
    combine,
)
from rsclip.model import Trunk
from rsclip.study.metrics import Confusion
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend

__all__ = [
    "ALPHAS",
    "BETAS",
    "CLEARCLIP",
    "NORMALISED",
    "PART_VARIANTS",
    "Labeller",
    "Score",
    "Scores",
    "Variant",
    "find_variants",
]

ALPHAS = (0.1, 0.5, 1.0, 2.0, 10.0, 100.0)
BETAS = (0.0, 5.0, 10.0, 30.0, 50.0, 70.0, 100.0)
NORMALISED = "normalised"
"""What stands in the beta sweep for L2-normalised tokens."""
_SWEPT: tuple[Attention, ...] = ("qk", "qq")

CLEARCLIP = LastBlockOptions(attention="qq")
PART_VARIANTS: Mapping[str, LastBlockOptions] = {
    # Without a share of attention the residual alone is left.
    "X_res": LastBlockOptions(attention="qk", residual=True, alpha=0),
    "X_attn": LastBlockOptions(attention="qk"),
    "X_sum": LastBlockOptions(attention="qk", residual=True),
}
"""What the last layer's parts (attention q-k, as trained) are segmented from."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A point of a sweep.

    Attributes:
        sweep: "parts", "ablation", "alpha" or "beta".
        name: What it is called in its plot.
        options: What it computes.
    """

    sweep: str
    name: str
    options: LastBlockOptions


@dataclass(frozen=True, slots=True)
class Score:
    """A variant's score.

    Attributes:
        variant: Which.
        miou: Mean IoU over the classes in the truth, 0 to 1.
        accuracy: Share of pixels that are right, 0 to 1.
        iou: float64 by legend value (0 first); NaN for a class neither in truth nor predicted.
    """

    variant: Variant
    miou: float
    accuracy: float
    iou: NDArray[np.float64]


def find_variants() -> list[Variant]:
    """Return all points of all sweeps.

    parts: X_res, X_attn, X_sum. ablation: residual x FFN x every attention. alpha: X_res + alpha
    X_attn. beta: X_res without its strongest beta percent of channels, + X_attn; and with its
    tokens L2-normalised instead. The last two for q-k and q-q.
    """
    found = [Variant("parts", name, options) for name, options in PART_VARIANTS.items()]
    for residual in (True, False):
        for ffn in (True, False):
            kept = " + ".join(["RC"] * residual + ["FFN"] * ffn) or "neither"
            for attention in ATTENTIONS:
                options = LastBlockOptions(attention=attention, residual=residual, ffn=ffn)
                found.append(Variant("ablation", kept, options))
    for attention in _SWEPT:
        base = LastBlockOptions(attention=attention, residual=True)
        for alpha in ALPHAS:
            found.append(Variant("alpha", f"{alpha:g}", replace(base, alpha=alpha)))
        for beta in BETAS:
            found.append(Variant("beta", f"{beta:g}", replace(base, beta=beta)))
        found.append(Variant("beta", NORMALISED, replace(base, normalised=True)))
    return found


class Labeller:
    """Labels windows from variants of the last block.

    The similarities of a class are the best of its words', interpolated bilinearly from the patch
    grid to pixels; the best class is the label. Windows stand alone: none is blended with another.

    Args:
        legend: Classes.
        text: float32 (Q, D), L2-normalised, on the model's device.
        layout: Which queries speak for which class, and how.
        scale: Factor from similarity to logits.
    """

    def __init__(self, legend: Legend, text: Tensor, layout: Layout, scale: float) -> None:
        self._text, self._layout, self._scale = text, layout, scale
        values = [item.value for item in legend.classes]
        self._values = torch.as_tensor(values, device=text.device)

    def labels(
        self, trunk: Trunk, variants: Sequence[LastBlockOptions]
    ) -> Iterator[tuple[LastBlockOptions, NDArray[np.int64]]]:
        """Yield each variant with its labels: legend values int64 (B, H, W)."""
        attended: dict[tuple[Attention, float], Tensor] = {}
        for options in variants:
            key = options.attention, options.gaussian_std
            if key not in attended:
                with trunk.backbone.autocast():
                    attended[key] = attention_output(*_last(trunk), trunk.grid, *key)
            yield options, self._segment(trunk, attended[key], options)

    def _segment(
        self, trunk: Trunk, attended: Tensor, options: LastBlockOptions
    ) -> NDArray[np.int64]:
        block, residual = _last(trunk)
        with trunk.backbone.autocast():
            x = combine(block, residual, attended, options)
        features = DenseFeatures(trunk.head(x[:, 1:]), lambda: trunk.backbone.head(x[:, 0]))
        found = cosine(features, self._text, options)
        classes = self._layout.logits(found.movedim(1, -1), self._scale, torch).movedim(-1, 1)
        patch = trunk.backbone.patch
        size = trunk.grid[0] * patch, trunk.grid[1] * patch
        pixels = F.interpolate(classes, size=size, mode="bilinear", align_corners=False)
        labels: NDArray[np.int64] = self._values[pixels.argmax(1)].cpu().numpy()
        return labels


class Scores:
    """Gathers how variants' labels agree with the truth.

    Args:
        legend: Classes. The truth's 0, other classes, counts where background classes compete.
    """

    def __init__(self, legend: Legend) -> None:
        self._least = 0 if legend.background else 1
        self._count = len(legend.foreground) + 1
        self._confusions: dict[LastBlockOptions, Confusion] = {}

    def add(
        self, options: LastBlockOptions, truth: NDArray[np.int32], labels: NDArray[np.int64]
    ) -> None:
        """Add windows: truth (B, H, W), negative where unknown; labels of the same shape."""
        confusion = self._confusions.setdefault(options, Confusion(self._count))
        confusion.add(np.where(truth < self._least, -1, truth), labels)

    def of(self, variants: Sequence[Variant]) -> list[Score]:
        """Return the scores of variants that were added."""
        return [
            Score(variant, float(each.miou), float(each.accuracy), each.iou)
            for variant in variants
            for each in (self._confusions[variant.options],)
        ]


def _last(trunk: Trunk) -> tuple[torch.nn.Module, Tensor]:
    backbone = trunk.backbone
    return backbone.blocks[-1], trunk.entering(backbone.depth - 1)
