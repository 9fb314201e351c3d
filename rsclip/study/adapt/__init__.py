"""Teaching a model by few labels."""

from rsclip.study.adapt.run import Adaptation, adapt

__all__ = ["Adaptation", "adapt"]
