"""Where a label would teach most."""

from rsclip.study.suggest.run import suggest

__all__ = ["suggest"]
