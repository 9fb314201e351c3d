"""Procedural aerial scenes with exact per-pixel labels, for training, tests and benchmarks."""

from rsclip.nano.scenes.classes import CLASSES
from rsclip.nano.scenes.recipes import KINDS
from rsclip.nano.scenes.scene import SyntheticScene, generate

__all__ = ["CLASSES", "KINDS", "SyntheticScene", "generate"]
