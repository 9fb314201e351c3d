"""Procedural aerial scenes with exact per-pixel labels, for training, tests and benchmarks."""

from rsclip.synthetic.classes import CLASSES
from rsclip.synthetic.recipes import KINDS
from rsclip.synthetic.scene import SyntheticScene, generate

__all__ = ["CLASSES", "KINDS", "SyntheticScene", "generate"]
