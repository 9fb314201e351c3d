"""A small model that has learned to see as a large one does."""

from rsclip.study.distill.report import Distilled
from rsclip.study.distill.run import distill

__all__ = ["Distilled", "distill"]
