"""How good a map is: scores against labels, with intervals, tables, an error map and a page."""

from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.run import evaluate
from rsclip.study.evaluate.sweep import Trial, try_settings

__all__ = ["Evaluation", "Trial", "evaluate", "try_settings"]
