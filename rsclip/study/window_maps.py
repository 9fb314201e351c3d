"""Windows as pictures side by side: the image, what is known, and label maps."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsclip.types import BoolArray, FloatArray
from rsclip.words.legend import UNCLASSIFIED, Legend

__all__ = ["Picture", "draw_maps"]

_UNKNOWN = (205, 205, 205)
_EMPTY = (238, 238, 238)


@dataclass(frozen=True, slots=True)
class Picture:
    """A window to be shown.

    Attributes:
        image: float32 (3, h, w) in 0..1.
        valid: bool (h, w).
        truth: int32 (h, w) as in a `Sample`, or None.
        labels: Name -> legend values (h, w).
    """

    image: FloatArray
    valid: BoolArray
    truth: NDArray[np.int32] | None
    labels: Mapping[str, NDArray[np.int64]]


def draw_maps(pictures: Sequence[Picture], legend: Legend) -> str:
    """Return HTML: a row of maps for each window, and the legend below them."""
    figures = []
    for number, each in enumerate(pictures, 1):
        pixels = (each.image.transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)
        shown = {"image": np.where(each.valid[..., None], pixels, np.uint8(_EMPTY[0]))}
        if each.truth is not None:
            shown["truth"] = _paint(each.truth, legend, np.ones_like(each.valid))
        for name, labels in each.labels.items():
            shown[name] = _paint(labels, legend, each.valid)
        figures += [_figure(name, number, array) for name, array in shown.items()]
    colours = [(item.name, item.colour) for item in legend.foreground]
    truths = [each.truth for each in pictures if each.truth is not None]
    if legend.background or any((truth == UNCLASSIFIED).any() for truth in truths):
        colours.append(("other", legend.colours[UNCLASSIFIED]))
    if any((truth < 0).any() for truth in truths):
        colours.append(("unknown", _UNKNOWN))
    entries = "".join(
        f'<li><span class="swatch" style="background:rgb{colour}"></span>{html.escape(name)}</li>'
        for name, colour in colours
    )
    return (
        f'<div class="wide"><div class="maps">{"".join(figures)}</div></div>'
        f'<ul class="legend">{entries}</ul>'
    )


def _paint(labels: NDArray[Any], legend: Legend, valid: BoolArray) -> NDArray[np.uint8]:
    painted = np.full((*labels.shape, 3), _UNKNOWN, np.uint8)
    for value, colour in legend.colours.items():
        painted[labels == value] = colour
    painted[~valid] = _EMPTY
    return painted


def _figure(name: str, number: int, pixels: NDArray[np.uint8]) -> str:
    data = io.BytesIO()
    if name == "image":
        Image.fromarray(pixels).save(data, "WEBP", quality=88)
    else:
        Image.fromarray(pixels).save(data, "WEBP", lossless=True)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    return (
        f'<figure><img src="data:image/webp;base64,{text}" alt="{name} of window {number}">'
        f"<figcaption>{name}</figcaption></figure>"
    )
