"""Several methods on one scene: masks of each, a picture, agreement, scores."""

from rsclip.study.compare.choices import Choice, parse_choices
from rsclip.study.compare.run import Comparison, compare

__all__ = ["Choice", "Comparison", "compare", "parse_choices"]
