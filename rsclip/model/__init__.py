"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use."""

from rsclip.model.backbone import Backbone, wrap
from rsclip.model.outline import ModelOutline
from rsclip.model.trunk import Trunk
from rsclip.model.weights.load import load_backbone, model_outline

__all__ = ["Backbone", "ModelOutline", "Trunk", "load_backbone", "model_outline", "wrap"]
