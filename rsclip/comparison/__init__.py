"""Several methods on one scene: masks of each, a picture, agreement, scores."""

from rsclip.comparison.choices import Choice, parse_choices
from rsclip.comparison.run import Comparison, compare

__all__ = ["Choice", "Comparison", "compare", "parse_choices"]
