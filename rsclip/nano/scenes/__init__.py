"""Procedural aerial scenes with exact per-pixel labels, for training, tests and benchmarks."""

from rsclip.nano.scenes.classes import CLASSES, MORE_CLASSES
from rsclip.nano.scenes.recipes import KINDS
from rsclip.nano.scenes.scene import SyntheticScene, generate
from rsclip.nano.scenes.varied import generate_varied

__all__ = ["CLASSES", "KINDS", "MORE_CLASSES", "SyntheticScene", "generate", "generate_varied"]
