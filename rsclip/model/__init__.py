"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use."""

from pathlib import Path
from typing import Any

from rsclip.model.backbone import Backbone, wrap
from rsclip.model.outline import ModelOutline
from rsclip.model.trunk import Trunk
from rsclip.model.weights.load import load_backbone, model_outline, paths_behind

__all__ = [
    "Backbone",
    "ModelOutline",
    "Trunk",
    "as_backbone",
    "load_backbone",
    "model_outline",
    "paths_behind",
    "wrap",
]


def as_backbone(model: Any) -> Backbone:
    """Return a model ready for dense use.

    Args:
        model: A name or a folder (`load_backbone`), a `Backbone`, or an open_clip model (`wrap`).

    Raises:
        ModelError: There is no such model, or it cannot serve.
    """
    if isinstance(model, Backbone):
        return model
    return load_backbone(model) if isinstance(model, str | Path) else wrap(model)
