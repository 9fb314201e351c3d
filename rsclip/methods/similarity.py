"""`rsclip.similarity`: images and words in, a similarity per patch and word out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rsclip.errors import OptionError
from rsclip.methods.segmenter import Segmenter
from rsclip.model import Backbone, as_backbone
from rsclip.types import FloatArray
from rsclip.words.prompts import load_templates, word_prompts

__all__ = ["similarity"]


def similarity(
    backbone: "str | Path | Backbone | torch.nn.Module",
    images: "np.ndarray[Any, Any] | Tensor",
    queries: "Sequence[str] | np.ndarray[Any, Any] | Tensor",
    method: str = "clearclip",
    templates: str = "imagenet80",
    **options: Any,
) -> FloatArray:
    """Compare every patch of images with every query.

    Args:
        backbone: A model by name, a `Backbone` or an open_clip model; a `Backbone` is used
            where it is (`backbone.to(device, precision)`).
        images: uint8 (B, H, W, 3), RGB; H and W multiples of the model's patch.
        queries: Q words, or ready text features float (Q, D).
        method: Dense method.
        templates: Prompt templates that words are put into: imagenet80, simple, remote-sensing or
            a file. Ready features need none.
        **options: Options of the method, such as attention="qk".

    Returns:
        float32 (B, Q, H / patch, W / patch): cosine of patch and query, -1..1.

    Raises:
        OptionError: Images, queries, method or options do not fit.
        EncodeError: The memory does not hold the work.
    """
    backbone = as_backbone(backbone)
    text = queries if isinstance(queries, np.ndarray | Tensor) else _prompts(queries, templates)
    segmenter = Segmenter(
        backbone,
        text,
        method=method,
        options=options,
        device=backbone.device,
        precision=backbone.precision,
    )
    pixels = _pixels(images)
    if not len(pixels):
        return segmenter.similarities(_scaled(pixels))
    # Batch by batch, so that float copies of many images never stand side by side.
    size = segmenter.batch_size
    parts = [
        segmenter.similarities(_scaled(pixels[start : start + size]))
        for start in range(0, len(pixels), size)
    ]
    return np.concatenate(parts)


def _prompts(queries: Sequence[str], templates: str) -> list[Sequence[str]]:
    words = () if isinstance(queries, str) else queries
    # CLIP reads English; what its vocabulary lacks it does not refuse, it misreads.
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise OptionError(
            "queries are a list of words, or features (Q, D)",
            where="queries",
            remedy='Such as ["building", "road"].',
        )
    foreign = next((word for word in words if not word.isascii()), None)
    if foreign is not None:
        raise OptionError(
            f"{foreign!r} is not plain English", where="queries", remedy="CLIP reads English."
        )
    filled = load_templates(templates)
    return [word_prompts(word, filled) for word in words]


def _pixels(images: "np.ndarray[Any, Any] | Tensor") -> "np.ndarray[Any, Any]":
    pixels = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise OptionError(
            f"images are {pixels.dtype} of shape {pixels.shape}",
            where="images",
            remedy="They are uint8 (B, H, W, 3).",
        )
    return pixels


def _scaled(pixels: "np.ndarray[Any, Any]") -> FloatArray:
    scaled: FloatArray = pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    return scaled
