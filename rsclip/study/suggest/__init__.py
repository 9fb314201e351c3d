"""Where a label would teach most."""

from rsclip.study.suggest.finished_run import FinishedRun, read_run
from rsclip.study.suggest.run import suggest

__all__ = ["FinishedRun", "read_run", "suggest"]
