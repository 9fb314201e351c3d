"""Teaching a model by few labels."""

from rsclip.study.adapt.adaptation import Adaptation
from rsclip.study.adapt.run import adapt

__all__ = ["Adaptation", "adapt"]
