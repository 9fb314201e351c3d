"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use."""

from rsclip.backbone.load import load_backbone, model_outline
from rsclip.backbone.model import Backbone, wrap
from rsclip.backbone.outline import ModelOutline
from rsclip.backbone.trunk import Trunk

__all__ = ["Backbone", "ModelOutline", "Trunk", "load_backbone", "model_outline", "wrap"]
