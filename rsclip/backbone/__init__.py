"""Frozen open_clip models: found by name, loaded from files, wrapped for dense use."""

from rsclip.backbone.load import cached_weights, load_backbone
from rsclip.backbone.model import Backbone, wrap

__all__ = ["Backbone", "cached_weights", "load_backbone", "wrap"]
