"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use.

What needs torch loads on first use: to describe a model takes none.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsclip.model.outline import ModelOutline
from rsclip.model.weights.find import model_outline, paths_behind

if TYPE_CHECKING:
    from rsclip.model.backbone import Backbone, wrap
    from rsclip.model.second_vit import SecondVit
    from rsclip.model.trunk import Trunk
    from rsclip.model.weights.load import load_backbone

__all__ = [
    "Backbone",
    "ModelOutline",
    "SecondVit",
    "Trunk",
    "as_backbone",
    "load_backbone",
    "model_outline",
    "paths_behind",
    "wrap",
]

_WITH_TORCH = {
    "Backbone": "backbone",
    "SecondVit": "second_vit",
    "Trunk": "trunk",
    "load_backbone": "weights.load",
    "wrap": "backbone",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
    globals()[name] = value
    return value


def as_backbone(model: Any) -> "Backbone":
    """Return a model ready for dense use.

    Args:
        model: A name or a folder (`load_backbone`), a `Backbone`, or an open_clip model (`wrap`).

    Raises:
        ModelError: There is no such model, or it cannot serve.
    """
    from rsclip.model.backbone import Backbone, wrap
    from rsclip.model.weights.load import load_backbone

    if isinstance(model, Backbone):
        return model
    return load_backbone(model) if isinstance(model, str | Path) else wrap(model)
